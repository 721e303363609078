// <stereo-viewer result="...">: a pair in every way to look at it. Switching computes nothing on the server.
// `at({ strength, convergence, middle, window })` shows the pair with other parallax, or with a floating window, which
// the server draws without the model. `drawn` tells what is shown, now and then while a slider moves.

import { difference, flat, mixed } from "./pictures.js";

const MODES = [
  ["sbs", "Side by side"],
  ["cross-eyed", "Cross-eyed"],
  ["anaglyph", "Anaglyph"],
  ["wiggle", "Wiggle"],
  ["depth", "Depth"],
  ["difference", "Difference"],
];
const WIGGLE_MS = 180;
const TELL_MS = 400;
const choice = { mode: "sbs", glasses: "red-cyan", distance: 2, width: 1.6, window: false }; // outlives the element

let matrices = null; // of every kind of anaglyph, as the server's own
const anaglyphs = () => (matrices ??= fetch("stereo/anaglyphs.json").then((got) => got.json()));

async function picture(url) {
  const got = await fetch(url);
  if (!got.ok) throw new Error((await got.json()).detail);
  return createImageBitmap(await got.blob(), { colorSpaceConversion: "none" });
}

function made(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

class StereoViewer extends HTMLElement {
  static observedAttributes = ["result"];

  connectedCallback() {
    if (this.canvas) return;
    this.canvas = made("canvas", { role: "img", "aria-label": "The pair", width: 2, height: 1 });
    this.stage = made("div", { class: "stage" }, this.canvas);
    this.bar = made("div", { class: "modes", role: "group", "aria-label": "How to look at it" });
    this.line = made("p", { class: "line", role: "status" });
    this.more = made("div", { class: "more" });
    const style = made("link", { rel: "stylesheet", href: "stereo/static/elements.css" });
    this.attachShadow({ mode: "open" }).append(style, this.bar, this.stage, this.line, this.more); // Gradio redraws the rest
    this.drawBar();
    this.load();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  attributeChangedCallback() {
    if (this.canvas) this.load();
  }

  drawBar() {
    const buttons = MODES.map(([mode, label]) =>
      made("button", { type: "button", "data-mode": mode, onclick: () => this.show(mode) }, label),
    );
    this.glasses = made("select", {
      "aria-label": "Glasses",
      hidden: true,
      onchange: () => {
        choice.glasses = this.glasses.value;
        this.show("anaglyph");
      },
    });
    anaglyphs().then((all) => {
      for (const [name, { about }] of Object.entries(all)) this.glasses.append(made("option", { value: name }, about));
      this.glasses.value = choice.glasses;
    });
    this.vr = made("span", { class: "vr", hidden: true });
    this.bar.replaceChildren(...buttons, this.glasses, this.vr);
    navigator.xr?.isSessionSupported("immersive-vr").then((can) => can && this.offerVr());
  }

  offerVr() {
    const number = (name, label, least, most) =>
      made("label", {}, `${label} `, made("input", {
        type: "number", min: least, max: most, step: 0.1, value: choice[name],
        onchange: (event) => (choice[name] = Math.min(most, Math.max(least, Number(event.target.value) || least))),
      }), " m");
    const enter = made("button", { type: "button", class: "enter-vr", onclick: () => this.enterVr() }, "Enter VR");
    this.vr.replaceChildren(enter, number("distance", "distance", 0.5, 20), number("width", "width", 0.2, 20));
    this.vr.hidden = false;
  }

  async enterVr() {
    const { enter } = await import("./vr.js");
    try {
      await enter(this.left, this.right, choice.distance, choice.width);
      this.say("");
    } catch (failed) {
      this.say(`The headset cannot be used: ${failed.message}`);
    }
  }

  say(text) {
    this.line.textContent = text;
    this.line.hidden = !text;
  }

  async load() {
    const name = this.getAttribute("result");
    this.stage.classList.toggle("empty", !name);
    this.bar.hidden = !name;
    if (!name) return this.say("The pair that you make appears here.");
    try {
      const made = await (await fetch(`stereo/results/${name}.json`)).json();
      if (this.getAttribute("result") !== name) return;
      this.made = made;
      this.query = "";
      this.wish = null;
      [this.left, this.right] = await Promise.all(["left.png", "right.png"].map((file) => picture(made.files[file])));
      this.ownLeft = this.left;
      this.depth = null;
      this.say(made.notes.join(" "));
      this.drawDownloads();
      await this.show(choice.mode);
      this.tell();
      if (choice.window) await this.at({ ...made, window: true });
      this.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
    } catch (failed) {
      this.say(failed.message);
    }
  }

  // What the server is asked for; nothing if the pair is wished as it was made.
  queryOf({ strength, convergence, middle, window }) {
    const { made } = this;
    const near = (one, other) => Math.abs(one - other) < 1e-6;
    const same = near(strength, made.strength) && near(convergence, made.convergence) && near(middle, made.middle);
    if (same && !window) return "";
    const curve = near(middle, made.middle) ? made.curve : near(middle, 0.5) ? [0, 1] : [0, middle, 1];
    return `?strength=${strength}&convergence=${convergence}&curve=${curve}${window ? "&window=true" : ""}`;
  }

  // Ask for other parallax; while an answer is on its way only the latest wish is kept.
  async at(look) {
    this.wish = look;
    choice.window = look.window;
    if (this.asking || !this.made) return;
    this.asking = true;
    while (this.wish) {
      const { made, wish } = this;
      const query = this.queryOf(wish);
      this.wish = null;
      if (query === this.query) continue;
      const began = performance.now();
      try {
        const kind = query ? "jpg" : "png";
        const [left, right] = await Promise.all([
          wish.window ? picture(made.files[`left.${kind}`] + query) : this.ownLeft,
          picture(made.files[`right.${kind}`] + query),
        ]);
        if (made !== this.made) continue; // another pair has come meanwhile
        Object.assign(this, { left, right, query, depth: null });
        this.say(this.about(wish));
        this.drawDownloads();
        await this.show(choice.mode);
        if (!this.wish || performance.now() - this.told > TELL_MS) this.tell();
      } catch (failed) {
        this.say(failed.message);
      }
      this.took = performance.now() - began;
    }
    this.asking = false;
  }

  about(look) {
    const moved = this.queryOf({ ...look, window: false });
    return moved ? "A preview: run again to have the model draw what it uncovers." : this.made.notes.join(" ");
  }

  tell() {
    this.told = performance.now();
    document.dispatchEvent(new CustomEvent("drawn", { detail: { result: this.made.result, query: this.query } }));
  }

  async show(mode) {
    choice.mode = mode;
    this.glasses.hidden = mode !== "anaglyph";
    for (const button of this.bar.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    clearInterval(this.timer);
    if (!this.left) return;
    const { left, right } = this;
    if (mode === "sbs") this.beside(left, right);
    else if (mode === "cross-eyed") this.beside(right, left);
    else if (mode === "anaglyph") this.put(mixed(left, right, (await anaglyphs())[choice.glasses]));
    else if (mode === "difference") this.put(difference(left, right));
    else if (mode === "depth") {
      this.depth ??= await picture(this.made.files["depth.png"] + this.query);
      this.put(flat(this.depth));
    } else this.wiggle();
    this.dataset.shown = mode;
  }

  size(width, height) {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    return this.canvas.getContext("2d");
  }

  beside(first, second) {
    const context = this.size(2 * first.width, first.height);
    context.drawImage(first, 0, 0);
    context.drawImage(second, first.width, 0);
  }

  put(data) {
    this.size(data.width, data.height).putImageData(data, 0, 0);
  }

  wiggle() {
    const eyes = [this.left, this.right];
    let turn = 0;
    const draw = () => this.size(eyes[0].width, eyes[0].height).drawImage(eyes[turn++ % 2], 0, 0);
    draw();
    this.timer = setInterval(draw, WIGGLE_MS);
  }

  drawDownloads() {
    const link = (url, label, title) =>
      made("a", { href: url + this.query, download: url.split("/").pop(), title }, label);
    const { files, formats } = this.made;
    const all = Object.entries(formats).map(([name, { url, about }]) => link(url, name, about));
    const bundle = link(files["bundle.zip"], "everything (zip)", "both eyes, disparity, occlusion, request");
    const request = link(files["request.json"], "request", "what made it; the command line takes it as well");
    const open = this.more.querySelector("details")?.open ?? false;
    this.more.replaceChildren(
      made("details", { class: "downloads", open }, made("summary", {}, "Download"), made("p", {}, bundle, request, ...all)),
    );
  }
}

customElements.define("stereo-viewer", StereoViewer);
