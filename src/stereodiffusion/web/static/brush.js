// <depth-brush result="...">: paint on a pair's depth. `send()` hands the map to the server, for the next run.

import { decodePfm, encodePfm } from "./pfm.js";

const TOOLS = [
  ["nearer", "Nearer"],
  ["farther", "Farther"],
  ["smooth", "Smooth"],
  ["copy", "Copy depth"],
];
const STEP = 0.04; // of the whole range of depth, with one dab
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class DepthBrush extends HTMLElement {
  static observedAttributes = ["result"];

  connectedCallback() {
    if (this.canvas) return;
    this.tool = "nearer";
    this.root = this.attachShadow({ mode: "open" }); // Gradio redraws the rest
    this.root.innerHTML = `
      <link rel="stylesheet" href="stereo/static/elements.css">
      <div class="modes" role="group" aria-label="Brush">
        ${TOOLS.map(([tool, label]) => `<button type="button" data-tool="${tool}">${label}</button>`).join("")}
        <label>size <input type="range" class="radius" min="2" max="25" value="8" aria-label="Brush size"></label>
        <label><input type="checkbox" class="over" checked> over the picture</label>
        <button type="button" class="undo">Undo</button>
      </div>
      <canvas class="map" tabindex="0" aria-label="Depth map: bright is near. Arrow keys move the brush, space paints."></canvas>
      <p class="line" role="status"></p>`;
    this.canvas = this.root.querySelector("canvas");
    this.line = this.root.querySelector(".line");
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.choose(button.dataset.tool));
    }
    this.root.querySelector(".undo").addEventListener("click", () => this.undo());
    this.root.querySelector(".over").addEventListener("change", () => this.draw());
    this.listen();
    this.choose("nearer");
    this.load();
  }

  attributeChangedCallback() {
    if (this.canvas) this.load();
  }

  choose(tool) {
    this.tool = tool;
    this.copied = null;
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    }
    this.line.textContent = tool === "copy" ? "Touch the point whose depth to copy, then paint." : "";
  }

  async load() {
    this.before = [];
    this.changed = false;
    const name = this.getAttribute("result");
    if (!name) return;
    const [map, left] = await Promise.all(["disparity.pfm", "left.png"].map((file) => fetch(`stereo/results/${name}/${file}`)));
    const { width, height, values } = decodePfm(await map.arrayBuffer());
    const picture = await createImageBitmap(await left.blob());
    if (this.getAttribute("result") !== name) return;
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    Object.assign(this, { width, height, picture });
    this.depth = values.map((value) => (Number.isFinite(value) ? (value - low) / (high - low || 1) : 0));
    this.at = [width >> 1, height >> 1];
    this.canvas.width = width;
    this.canvas.height = height;
    this.draw();
  }

  listen() {
    const { canvas } = this;
    const place = ({ offsetX, offsetY }) => [
      (offsetX * canvas.width) / canvas.clientWidth, (offsetY * canvas.height) / canvas.clientHeight,
    ];
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.begin();
      this.dab(...place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      this.at = place(event);
      if (event.buttons) this.dab(...this.at);
      else this.draw();
    });
    canvas.addEventListener("keydown", (event) => {
      if (event.key === " ") {
        this.begin();
        this.dab(...this.at);
      } else if (event.key in KEYS) {
        const [x, y] = KEYS[event.key];
        this.at = [this.at[0] + x * this.radius * 0.5, this.at[1] + y * this.radius * 0.5];
        this.draw();
      } else return;
      event.preventDefault();
    });
  }

  get radius() {
    return (Number(this.root.querySelector(".radius").value) / 100) * Math.max(this.width, this.height);
  }

  begin() {
    this.before.push(this.depth.slice());
    if (this.before.length > 20) this.before.shift();
  }

  undo() {
    if (!this.before?.length) return;
    this.depth = this.before.pop();
    this.changed = this.before.length > 0;
    this.draw();
  }

  dab(x, y) {
    const { width, height, depth, radius, tool } = this;
    this.at = [x, y];
    const here = depth[Math.min(height - 1, Math.max(0, y | 0)) * width + Math.min(width - 1, Math.max(0, x | 0))];
    if (tool === "copy" && this.copied === null) {
      this.copied = here;
      this.before.pop();
      this.line.textContent = "Copied. Paint where that depth belongs; choose the brush again for another point.";
      return;
    }
    const from = tool === "smooth" ? depth.slice() : depth;
    for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(height - 1, y + radius); row++) {
      for (let column = Math.max(0, Math.ceil(x - radius)); column <= Math.min(width - 1, x + radius); column++) {
        const weight = (1 - Math.min(1, ((row - y) ** 2 + (column - x) ** 2) / radius ** 2)) ** 2;
        if (!weight) continue;
        const index = row * width + column;
        let value = depth[index];
        if (tool === "nearer") value += STEP * weight;
        else if (tool === "farther") value -= STEP * weight;
        else value += weight * ((tool === "copy" ? this.copied : this.mean(from, row, column)) - value);
        depth[index] = Math.min(1, Math.max(0, value));
      }
    }
    this.changed = true;
    this.draw();
  }

  mean(values, row, column) {
    let [sum, count] = [0, 0];
    for (let y = Math.max(0, row - 2); y <= Math.min(this.height - 1, row + 2); y++) {
      for (let x = Math.max(0, column - 2); x <= Math.min(this.width - 1, column + 2); x++) {
        sum += values[y * this.width + x];
        count++;
      }
    }
    return sum / count;
  }

  draw() {
    if (!this.depth) return;
    const context = this.canvas.getContext("2d");
    const grey = context.createImageData(this.width, this.height);
    for (let i = 0; i < this.depth.length; i++) grey.data.fill(255 * this.depth[i], 4 * i, 4 * i + 3);
    for (let i = 3; i < grey.data.length; i += 4) grey.data[i] = 255;
    context.putImageData(grey, 0, 0);
    if (this.root.querySelector(".over").checked) {
      context.globalAlpha = 0.35;
      context.drawImage(this.picture, 0, 0);
      context.globalAlpha = 1;
    }
    context.strokeStyle = "#ff3b7f";
    context.lineWidth = Math.max(1, this.width / 300);
    context.beginPath();
    context.arc(...this.at, this.radius, 0, 2 * Math.PI);
    context.stroke();
  }

  // Hand the map over, if it was changed.
  async send() {
    if (!this.changed) return;
    const name = this.getAttribute("result");
    const body = encodePfm(this.width, this.height, this.depth);
    const got = await fetch(`stereo/results/${name}/map`, { method: "POST", body });
    this.line.textContent = got.ok ? "The next run uses this map." : (await got.json()).detail;
  }
}

customElements.define("depth-brush", DepthBrush);
