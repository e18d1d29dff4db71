// The review page: finding, deciding, looking closely. What is decided stays in this browser until
// it is saved as a CSV, which `snakemake colorize` reads (colorize.review).
const list = document.getElementById("entries");
const entries = [...list.children];
const control = id => document.getElementById(id);
const COLUMNS = ["path", "source_sha256", "model_sha256", "decision", "saturation", "abstain", "remark"];
const FIELDS = ["decision", "saturation", "abstain", "remark"];
const WORDS = { accept: "accepted", redo: "to be redone", reject: "rejected" };
const SHELF = `photochrom-review:${location.pathname}:${list.dataset.archive}`;
// Pictures that a browser can show; of any other, the large view has its preview only.
const SHOWABLE = /\.(jpe?g|jpe|jfif|png|webp)$/i;

const name = entry => entry.dataset.path;
const known = new Map(entries.map(entry => [name(entry), entry]));
entries.forEach((entry, place) => { entry.dataset.place = place; });

// What was decided: first what the page was made with, over it what this browser remembers, but
// never of another picture or of another model's colours.
let shelf = {};
try {
  shelf = JSON.parse(localStorage.getItem(SHELF)) ?? {};
} catch {
  shelf = {};
}
for (const [path, kept] of Object.entries(shelf)) {
  const entry = known.get(path);
  if (!entry || kept.source !== entry.dataset.source || kept.model !== entry.dataset.model) continue;
  for (const field of FIELDS) entry.dataset[field] = kept[field] ?? "";
}

function keep(entry) {
  const { source, model } = entry.dataset;
  shelf[name(entry)] = { source, model, ...Object.fromEntries(FIELDS.map(field => [field, entry.dataset[field] ?? ""])) };
  let kept = true;
  try {
    localStorage.setItem(SHELF, JSON.stringify(shelf));
  } catch {
    kept = false;
  }
  tally(kept);
}

function tally(kept = true) {
  const shown = entries.filter(entry => !entry.hidden).length;
  const counts = Object.entries(WORDS).map(([word, words]) =>
    [entries.filter(entry => entry.dataset.decision === word).length, words]).filter(([count]) => count);
  control("tally").textContent = `${shown.toLocaleString("en")} shown`
    + counts.map(([count, words]) => ` · ${count.toLocaleString("en")} ${words}`).join("")
    + (kept ? "" : " · this browser keeps nothing: save often");
}

// A decision's controls are made when their entry comes near the window: a thousand sets at once
// would take longer to lay out than the pictures.
function controls(entry) {
  if (entry.querySelector(".verdict") || !(entry.dataset.full || entry.dataset.decision)) return;
  const made = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const group = `verdict-${entry.dataset.place}`;
  const radios = Object.entries({ accept: "accept", redo: "redo", reject: "reject", "": "undecided" }).map(([value, words]) =>
    made("label", {}, made("input", { type: "radio", name: group, value, checked: (entry.dataset.decision ?? "") === value }), words));
  const number = (field, words, most) => made("label", { className: "own" }, words,
    made("input", { type: "number", min: 0, max: most, step: 0.05, value: entry.dataset[field] ?? "" }));
  const fields = { saturation: number("saturation", "saturation", 4), abstain: number("abstain", "abstain", 1) };
  const remark = made("input", { type: "text", value: entry.dataset.remark ?? "", placeholder: "remark", autocomplete: "off" });
  remark.setAttribute("aria-label", `Remark on ${name(entry)}`);
  const verdict = made("fieldset", { className: "verdict" },
    made("legend", {}, `Decision on ${name(entry)}`), ...radios, fields.saturation, fields.abstain,
    made("span", { className: "words" }, remark));
  if (entry.dataset.full) {
    verdict.append(made("button", { type: "button", className: "enlarge" }, "Enlarge"));
  }
  verdict.addEventListener("change", event => {
    if (event.target.type === "radio") entry.dataset.decision = event.target.value;
  });
  verdict.addEventListener("input", event => {
    if (event.target === remark) entry.dataset.remark = remark.value;
    for (const [field, label] of Object.entries(fields)) {
      if (event.target === label.lastChild) entry.dataset[field] = event.target.validity.valid ? event.target.value : "";
    }
    if (event.target.type === "radio") entry.dataset.decision = event.target.value;
    keep(entry);
  });
  verdict.addEventListener("click", event => { if (event.target.className === "enlarge") enlarge(entry); });
  entry.append(verdict);
}

function map(entry) {
  const pair = entry.querySelector(".pair");
  if (!pair || !entry.dataset.map || pair.querySelector(".map") || !document.documentElement.classList.contains("unsure")) return;
  const holder = document.createElement("div");
  holder.className = "map";
  const picture = document.createElement("img");
  picture.src = entry.dataset.map;
  picture.alt = `Where the model was unsure in ${name(entry)}`;
  holder.append(picture);
  pair.append(holder);
}

const near = new IntersectionObserver(seen => {
  for (const { isIntersecting, target } of seen) {
    target.dataset.near = isIntersecting ? "1" : "";
    if (!isIntersecting) continue;
    controls(target);
    map(target);
  }
}, { rootMargin: "150% 0px" });
for (const entry of entries) near.observe(entry);

// Finding.
const figure = (entry, key) => entry.dataset[key] === "" ? -1 : Number(entry.dataset[key]);
const ORDERS = {
  doubt: () => 0,
  unsure: (one, other) => figure(other, "unsure") - figure(one, "unsure"),
  reduced: (one, other) => figure(other, "reduced") - figure(one, "reduced"),
  path: (one, other) => name(one) < name(other) ? -1 : 1,
};

function filter() {
  const status = control("show").value, decision = control("decided").value;
  const words = control("find").value.trim().toLowerCase();
  for (const entry of entries) {
    entry.hidden = Boolean(status && entry.dataset.status !== status
      || decision !== "any" && (entry.dataset.decision ?? "") !== decision
      || words && !(entry.textContent + (entry.dataset.remark ?? "")).toLowerCase().includes(words));
  }
  control("none").hidden = entries.some(entry => !entry.hidden);
  tally();
}

function sort() {
  const order = ORDERS[control("order").value];
  entries.sort((one, other) => order(one, other) || one.dataset.place - other.dataset.place);
  list.append(...entries);
}

for (const id of ["show", "decided"]) control(id).addEventListener("change", filter);
control("order").addEventListener("change", sort);
control("find").addEventListener("input", filter);
control("unsure").addEventListener("change", event => {
  document.documentElement.classList.toggle("unsure", event.target.checked);
  for (const entry of entries) if (entry.dataset.near) map(entry);
});

// Saving: every file that somebody said anything of.
const cell = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
function table() {
  const lines = entries.filter(entry => entry.dataset.decision || entry.dataset.remark).map(entry => {
    const { path, source, model, decision, saturation, abstain, remark } = entry.dataset;
    const own = decision === "redo" ? [saturation, abstain] : ["", ""];
    return [path, source, model, decision, ...own, remark].map(value => value ?? "");
  });
  lines.sort(([one], [other]) => one < other ? -1 : 1);
  return [COLUMNS, ...lines].map(line => line.map(cell).join(",") + "\n").join("");
}
control("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv;charset=utf-8" }));
  link.download = `review-${list.dataset.archive.replace(/[^\w.-]+/g, "_")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

// One picture large: where it lies in the window, in CSS pixels, and how much larger than it is.
const large = control("large"), stage = large.querySelector(".stage");
const picture = document.createElement("img");
let view = { x: 0, y: 0, scale: 1 };

function enlarge(entry) {
  const preview = entry.querySelector(".pair .after");
  const whole = SHOWABLE.test(entry.dataset.full ?? "");
  const address = whole ? entry.dataset.full : preview?.src;
  if (!address) return;
  picture.classList.remove("grey");
  large.querySelector("[data-do=grey]").setAttribute("aria-pressed", "false");
  picture.alt = `Colorized picture of ${name(entry)}`;
  large.querySelector(".name").textContent = name(entry) + (whole ? "" : " (its preview: browsers show no TIFF)");
  picture.src = address;
  stage.append(picture);
  large.showModal();
  stage.focus();
  picture.decode().then(fit, () => { large.querySelector(".name").textContent = `${name(entry)} cannot be shown`; });
}

function place(next) {
  view = next;
  picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  picture.classList.toggle("pixels", view.scale >= 2);
}
function fit() {
  const scale = Math.min(stage.clientWidth / picture.naturalWidth, stage.clientHeight / picture.naturalHeight, 1);
  place({ scale, x: (stage.clientWidth - picture.naturalWidth * scale) / 2, y: (stage.clientHeight - picture.naturalHeight * scale) / 2 });
}
// The point (x, y) of the window stays where it is.
function zoom(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const bounded = Math.min(16, Math.max(0.02, scale)), factor = bounded / view.scale;
  place({ scale: bounded, x: x - (x - view.x) * factor, y: y - (y - view.y) * factor });
}
const move = (x, y) => place({ ...view, x: view.x + x, y: view.y + y });
const ACTS = {
  in: () => zoom(view.scale * 1.25), out: () => zoom(view.scale / 1.25), fit, pixels: () => zoom(1),
  grey: () => large.querySelector("[data-do=grey]").setAttribute("aria-pressed", String(picture.classList.toggle("grey"))),
  close: () => large.close(),
  left: () => move(80, 0), right: () => move(-80, 0), up: () => move(0, 80), down: () => move(0, -80),
};
const LARGE_KEYS = {
  "+": "in", "=": "in", "-": "out", "−": "out", 0: "fit", 1: "pixels", g: "grey",
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
};
large.addEventListener("click", event => { ACTS[event.target.dataset?.do]?.(); });
large.addEventListener("keydown", event => {
  const act = LARGE_KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  ACTS[act]();
});
stage.addEventListener("wheel", event => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(view.scale * 1.0015 ** -event.deltaY, event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
stage.addEventListener("pointerdown", event => { event.preventDefault(); stage.focus(); stage.setPointerCapture(event.pointerId); });
stage.addEventListener("pointermove", event => {
  if (stage.hasPointerCapture(event.pointerId)) move(event.movementX, event.movementY);
});
large.addEventListener("close", () => picture.remove());

// Keys on the page: they mean the entry that has the focus, or the first in view.
function current() {
  const focused = document.activeElement?.closest?.(".entry");
  if (focused) return focused;
  return entries.find(entry => !entry.hidden && entry.getBoundingClientRect().bottom > 120);
}
function step(by) {
  const shown = entries.filter(entry => !entry.hidden);
  const focused = document.activeElement?.closest?.(".entry");
  const at = focused ? shown.indexOf(focused) + by : 0;
  const entry = shown[Math.min(shown.length - 1, Math.max(0, at))];
  if (!entry) return;
  controls(entry);
  entry.focus({ preventScroll: true });
  entry.scrollIntoView({ block: "start" });
}
function decide(decision) {
  const entry = current();
  if (!entry) return;
  controls(entry);
  const radio = entry.querySelector(`.verdict input[type=radio][value="${decision}"]`);
  if (!radio) return;
  radio.checked = true;
  entry.dataset.decision = decision;
  keep(entry);
}
const KEYS = {
  j: () => step(1), k: () => step(-1),
  a: () => decide("accept"), r: () => decide("reject"), d: () => decide("redo"),
  m: () => { const entry = current(); if (entry) { controls(entry); entry.querySelector(".words input")?.focus(); } },
  u: () => control("unsure").click(),
  z: () => { const entry = current(); if (entry) enlarge(entry); },
  "/": () => control("find").focus(),
};
document.addEventListener("keydown", event => {
  const writing = event.target.matches?.("input:not([type=range]):not([type=radio]):not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && writing) return event.target.closest(".entry")?.focus();
  if (large.open || writing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
tally();
