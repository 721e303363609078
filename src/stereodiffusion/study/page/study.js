// One person's way through the study: pictures in an order of their own, two scores each, answers as CSV.
"use strict";
(() => {
  const study = window.STUDY;
  const element = (id) => document.getElementById(id);
  const screens = [...document.querySelectorAll("main")];
  const FIELDS = ["study", "person", "trial", "scene", "method", "quality", "depth", "seconds"];

  let person = "";
  let order = [];
  let answers = [];
  let since = 0; // when the picture was first shown

  // The order: Fisher-Yates, drawn by mulberry32 from the FNV-1a hash of the study and the person's code.
  const hash = (text) => {
    let state = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
    return state >>> 0;
  };
  const generator = (state) => () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const shuffled = (count, next) => {
    const places = [...Array(count).keys()];
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [places[i], places[j]] = [places[j], places[i]];
    }
    return places;
  };

  // What was answered, kept against accidents; a browser may refuse to keep anything.
  const kept = () => `stereo-study/${study.id}/${person}`;
  const keep = (name, value) => {
    try {
      localStorage.setItem(name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  };
  const recall = (name, otherwise) => {
    try {
      return JSON.parse(localStorage.getItem(name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  };

  const show = (id) => {
    for (const screen of screens) screen.hidden = screen.id !== id;
    window.scrollTo(0, 0);
  };
  const spread = (percent) => document.documentElement.style.setProperty("--spread", percent / 100);
  const current = () => study.trials[order[answers.length]];

  const look = (first) => {
    const trial = current();
    for (const eye of document.querySelectorAll("#look .eye")) {
      eye.style.backgroundImage = `url("${trial.picture}")`;
      eye.style.setProperty("--aspect", trial.aspect);
    }
    const after = study.trials[order[answers.length + 1]];
    if (after) new Image().src = after.picture; // so that the next one is there at once
    if (first) since = performance.now();
    document.documentElement.requestFullscreen?.().catch(() => {});
    show("look");
  };

  const rate = () => {
    document.exitFullscreen?.().catch(() => {});
    element("at").textContent = `Picture ${answers.length + 1} of ${order.length}`;
    element("done").value = answers.length / order.length;
    show("rate");
  };

  const csv = () => {
    const quoted = (value) => (/[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
    return [FIELDS, ...answers.map((answer) => FIELDS.map((field) => quoted(answer[field])))]
      .map((line) => line.join(","))
      .join("\r\n")
      .concat("\r\n");
  };

  const end = () => {
    const text = csv();
    element("csv").value = text;
    element("save").href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    element("save").download = `answers-${study.id}-${person}.csv`;
    show("end");
  };

  const proceed = () => (answers.length < order.length ? look(true) : end());

  element("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    person = element("person").value.trim();
    order = shuffled(study.trials.length, generator(hash(`${study.id}/${person}`)));
    answers = recall(kept(), []);
    element("spread").value = recall("stereo-study/spread", 84);
    spread(element("spread").value);
    answers.length < order.length ? show("adjust") : end();
  });
  element("spread").addEventListener("input", (event) => spread(event.target.value));
  element("adjusted").addEventListener("click", () => {
    keep("stereo-study/spread", element("spread").value);
    proceed();
  });
  element("look").addEventListener("click", rate);
  element("again").addEventListener("click", () => look(false));
  document.addEventListener("keydown", (event) => {
    if (!element("look").hidden && (event.key === "Enter" || event.key === " ")) rate();
  });

  const scores = element("scores");
  scores.addEventListener("change", () => {
    const given = new FormData(scores);
    element("next").disabled = !(given.has("quality") && given.has("depth"));
  });
  scores.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(scores);
    const [scene, method] = JSON.parse(atob(current().whose));
    answers.push({
      study: study.id,
      person,
      trial: answers.length + 1,
      scene,
      method,
      quality: given.get("quality"),
      depth: given.get("depth"),
      seconds: ((performance.now() - since) / 1000).toFixed(1),
    });
    element("forgetful").hidden = keep(kept(), answers);
    scores.reset();
    element("next").disabled = true;
    proceed();
  });

  for (const scale of document.querySelectorAll(".scale")) {
    for (let score = 0; score <= 5; score++) {
      const label = document.createElement("label");
      label.innerHTML = `<input type="radio" name="${scale.dataset.name}" value="${score}"><span>${score}</span>`;
      scale.append(label);
    }
  }
  element("count").textContent = study.trials.length;
  element("forgetful").hidden = keep("stereo-study/kept", 1);
})();
