// <comfort-report>: how comfortable the pair is that the viewer shows, on the display that `on(display)` says.

const WORDS = [[90, "comfortable"], [70, "mostly comfortable"], [40, "tiring"], [0, "uncomfortable"]];
const display = () => document.querySelector("#display input:checked")?.value ?? "monitor";

class ComfortReport extends HTMLElement {
  connectedCallback() {
    document.addEventListener("drawn", this);
    if (this.root) return;
    this.root = this.attachShadow({ mode: "open" }); // Gradio redraws the rest
    this.root.innerHTML = `
      <link rel="stylesheet" href="stereo/static/elements.css">
      <div class="comfort" role="status"></div>`;
    this.box = this.root.querySelector(".comfort");
    this.display = display();
    this.say("How comfortable the pair is stands here.");
  }

  disconnectedCallback() {
    document.removeEventListener("drawn", this);
  }

  handleEvent({ detail }) {
    this.ask(detail);
  }

  on(display) {
    this.display = display;
    if (this.shown) this.ask(this.shown);
  }

  // Ask how comfortable a pair is; while an answer is on its way only the latest wish is kept.
  async ask(shown) {
    this.shown = this.wish = shown;
    if (this.asking) return;
    this.asking = true;
    while (this.wish) {
      const { result, query } = this.wish;
      this.wish = null;
      try {
        const got = await fetch(`stereo/results/${result}/comfort.json${query || "?"}&display=${this.display}`);
        const answer = await got.json();
        if (!got.ok) throw new Error(answer.detail);
        this.draw(answer);
        this.dataset.score = answer.score;
      } catch (failed) {
        this.say(failed.message);
      }
    }
    this.asking = false;
  }

  say(text) {
    this.box.replaceChildren(Object.assign(document.createElement("p"), { textContent: text }));
  }

  draw({ score, findings, change }) {
    const [, word] = WORDS.find(([least]) => score >= least);
    const line = document.createElement("p");
    line.append(Object.assign(document.createElement("b"), { textContent: score }), ` of 100 \u00b7 ${word}`);
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.dataset.level = score >= 70 ? "good" : score >= 40 ? "fair" : "poor";
    bar.style.setProperty("--score", `${score}%`);
    const reasons = document.createElement("ul");
    for (const { text, cost } of findings) {
      reasons.append(Object.assign(document.createElement("li"), { textContent: `${text} (\u2212${cost})` }));
    }
    this.box.replaceChildren(line, bar, reasons);
    const last = findings.length ? "Other parallax would not mend that." : "Nothing strains the eyes.";
    if (!change) this.box.append(Object.assign(document.createElement("p"), { textContent: last }));
  }
}

customElements.define("comfort-report", ComfortReport);
