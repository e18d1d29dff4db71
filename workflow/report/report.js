"use strict";
// The report's own script: the table that sorts, the scatter plot and the blind comparison.

// The table of measures. What was not computed stays last, whichever way is sorted.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
  heads.forEach((head, place) => {
    const button = head.querySelector("button");
    button.disabled = false;
    button.addEventListener("click", () => {
      const turned = { ascending: "descending", descending: "ascending" };
      const order = turned[head.getAttribute("aria-sort")] || head.dataset.first;
      for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
      const sign = order === "ascending" ? 1 : -1;
      const value = row => row.cells[place].dataset.value;
      body.append(...[...body.rows].sort((one, other) => {
        const lacking = (value(one) === undefined) - (value(other) === undefined);
        return lacking || (value(one) === undefined ? 0 : sign * (value(one) - value(other)));
      }));
    });
  });
}

// An element with attributes and children; strings become text, never markup.
function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function drawn(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

const shortly = value => String(Number(value.toPrecision(4))).replace("-", "\u2212");

// Round numbers within a range, about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at++) found.push(at * step);
  return found;
}

function scatterPlot(data) {
  const room = document.getElementById("scatter"), plot = room.querySelector("svg");
  const choices = [...room.querySelectorAll("select")];
  const rowNamed = name => data.rows.find(row => row.name === name);
  const titled = measure => measure.title + (measure.unit ? ", " + measure.unit : "");
  let points = [], now = null;

  const chosen = () => Object.fromEntries(["x", "y"].map(axis => {
    const [measure, row] = ["measure", "row"].map(
      part => choices.find(one => one.dataset.axis === axis && one.dataset.part === part).value);
    const found = data.measures[measure];
    return [axis, { measure: found, row: data.rows[row], values: data.rows[row].values[found.name] }];
  }));

  // The usual first question: where is the best experiment better than grey?
  function offer() {
    const usual = Math.max(0, data.measures.findIndex(one => one.name === "ciede2000"));
    const names = { x: "grey", y: data.best };
    for (const choice of choices) {
      const measures = choice.dataset.part === "measure";
      const texts = measures ? data.measures.map(titled) : data.rows.map(row => row.name);
      texts.forEach((text, value) => choice.append(made("option", { value }, text)));
      const row = data.rows.findIndex(one => one.name === names[choice.dataset.axis]);
      choice.value = measures ? usual : Math.max(0, row);
      choice.addEventListener("change", draw);
    }
  }

  function draw() {
    const { x, y } = chosen();
    const kept = data.photographs.map((_, place) => place)
      .filter(place => x.values[place] !== null && y.values[place] !== null);
    const lacking = data.photographs.length - kept.length, alike = x.measure === y.measure;
    room.querySelector(".count").textContent =
      `${kept.length} points: ${titled(x.measure)} of ${x.row.name} across, `
      + `${titled(y.measure)} of ${y.row.name} upwards.`
      + (lacking ? ` ${lacking} photographs lack one of the two figures and have no point.` : "")
      + (alike && kept.length ? " On the dashed line both rows are equal." : "");
    const width = Math.max(280, plot.getBoundingClientRect().width), height = Math.min(440, 0.8 * width);
    const box = { left: 52, right: width - 10, top: 22, bottom: height - 40 };
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.replaceChildren();
    points = [];
    if (!kept.length) {
      plot.append(drawn("text", { x: box.left, y: height / 2 }, "No photograph has both figures."));
      return;
    }
    // One measure of two rows has one scale, on which the line of equal values is the diagonal.
    const range = (...columns) => {
      const shown = columns.flatMap(values => kept.map(place => values[place]));
      const low = Math.min(...shown), high = Math.max(...shown), room = (high - low) * 0.04 || 0.5;
      return [low - room, high + room];
    };
    const [left, right] = alike ? range(x.values, y.values) : range(x.values);
    const [bottom, top] = alike ? [left, right] : range(y.values);
    const across = value => box.left + (value - left) / (right - left) * (box.right - box.left);
    const upwards = value => box.bottom - (value - bottom) / (top - bottom) * (box.bottom - box.top);
    for (const tick of ticks(left, right, Math.max(2, width / 110))) {
      plot.append(
        drawn("line", { x1: across(tick), x2: across(tick), y1: box.top, y2: box.bottom }),
        drawn("text", { x: across(tick), y: box.bottom + 16, "text-anchor": "middle" }, shortly(tick)));
    }
    for (const tick of ticks(bottom, top, 5)) {
      plot.append(
        drawn("line", { x1: box.left, x2: box.right, y1: upwards(tick), y2: upwards(tick) }),
        drawn("text", { x: box.left - 6, y: upwards(tick) + 4, "text-anchor": "end" }, shortly(tick)));
    }
    const fitted = text => text.length * 6.2 > width - 20 ? text.slice(0, width / 6.2 - 4) + "…" : text;
    plot.append(
      drawn("text", { x: box.right, y: height - 6, "text-anchor": "end" }, fitted(`${titled(x.measure)}: ${x.row.name}`)),
      drawn("text", { x: 0, y: 12 }, fitted(`${titled(y.measure)}: ${y.row.name}`)));
    if (alike) {
      plot.append(drawn("line", { class: "equal", x1: box.left, y1: box.bottom, x2: box.right, y2: box.top }));
    }
    points = kept.map(place => {
      const point = drawn("circle", {
        class: "point", r: 5, cx: across(x.values[place]), cy: upwards(y.values[place]), role: "button", tabindex: -1,
        "aria-label": `${data.photographs[place].id}: ${shortly(x.values[place])} across, ${shortly(y.values[place])} upwards`,
      });
      point.dataset.place = place;
      return point;
    });
    const order = (values, key) => kept.map((place, at) => at).sort(
      (one, other) => values[kept[one]] - values[kept[other]] || one - other).forEach(
      (at, rank) => { points[at].dataset[key] = rank; });
    order(x.values, "across");
    order(y.values, "upwards");
    plot.append(...points);
    (points.find(point => Number(point.dataset.place) === now) || points[0]).setAttribute("tabindex", 0);
    if (now !== null) show(now);
  }

  function show(place) {
    now = place;
    for (const point of points) {
      const here = Number(point.dataset.place) === place;
      point.classList.toggle("now", here);
      point.setAttribute("aria-pressed", here);
    }
    const photograph = data.photographs[place], { x, y } = chosen();
    const rows = [...new Set([rowNamed("truth"), rowNamed(data.best), x.row, y.row])].filter(Boolean);
    room.querySelector(".chosen").textContent = `${photograph.id} · ${photograph.credit}`;
    const thumbs = made("div", { class: "thumbs" }), lost = [];
    for (const row of rows) {
      if (row.thumbs[place]) {
        thumbs.append(made("figure", {},
          made("img", { src: row.thumbs[place], alt: `${photograph.id}, ${row.name}` }),
          made("figcaption", {}, row.name)));
      } else lost.push(row.name);
    }
    const figures = made("tbody");
    for (const measure of data.measures) {
      const line = made("tr", {}, made("th", { scope: "row" }, titled(measure)));
      for (const row of rows) {
        const value = row.values[measure.name][place];
        line.append(made("td", {}, value === null ? "not computed" : shortly(value)));
      }
      figures.append(line);
    }
    const heads = rows.map(row => made("th", { scope: "col" }, row.name));
    room.querySelector(".detail").replaceChildren(
      thumbs,
      ...lost.length ? [made("p", { class: "note" }, `No thumbnail is in this page of: ${lost.join(", ")}.`)] : [],
      made("div", { class: "box numbers", tabindex: 0, role: "region", "aria-label": "Figures of the photograph" },
        made("table", {}, made("thead", {}, made("tr", {}, made("th", { scope: "col" }, "Measure"), ...heads)), figures)));
  }

  function go(point) {
    for (const other of points) other.setAttribute("tabindex", other === point ? 0 : -1);
    point.focus();
  }

  plot.addEventListener("click", event => {
    const point = event.target.closest(".point");
    if (point) { go(point); show(Number(point.dataset.place)); }
  });
  plot.addEventListener("keydown", event => {
    const point = event.target.closest(".point");
    const moves = { ArrowRight: ["across", 1], ArrowLeft: ["across", -1], ArrowUp: ["upwards", 1], ArrowDown: ["upwards", -1] };
    if (!point) return;
    if (moves[event.key]) {
      const [key, step] = moves[event.key], rank = Number(point.dataset[key]) + step;
      const next = points.find(one => Number(one.dataset[key]) === rank);
      if (next) go(next);
    } else if (event.key === "Enter" || event.key === " ") show(Number(point.dataset.place));
    else return;
    event.preventDefault();
  });
  offer();
  draw();
  let drawnAt = plot.clientWidth;
  addEventListener("resize", () => {
    if (plot.clientWidth !== drawnAt) { drawnAt = plot.clientWidth; draw(); }
  });
}

// Mulberry32, numbers in 0..1: the same session gives the same shuffle in every browser.
function shuffler(session) {
  let state = session >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let one = Math.imul(state ^ (state >>> 15), state | 1);
    one ^= one + Math.imul(one ^ (one >>> 7), one | 61);
    return ((one ^ (one >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Ends of the 95% interval of a share (Wilson 1927).
function wilson(count, of) {
  const z = 1.959964, share = count / of, middle = share + z * z / (2 * of);
  const half = z * Math.sqrt(share * (1 - share) / of + z * z / (4 * of * of));
  return [middle - half, middle + half].map(end => end / (1 + z * z / of));
}

const csvCell = text => /[",\r\n]/.test(String(text)) ? `"${text.replaceAll('"', '""')}"` : text;

function blindComparison(data) {
  const start = document.getElementById("blind-start"), stage = document.getElementById("blind-stage");
  const [progress, result, fault] = ["progress", "result", "fault"].map(
    name => document.getElementById("blind-" + name));
  const { rows, photographs } = data.blind;
  let trials = [], answers = [], since = 0, session = 0;

  for (const choice of [start.elements.one, start.elements.other]) {
    rows.forEach((name, value) => choice.append(made("option", { value }, name)));
  }
  const first = Math.max(0, rows.indexOf(data.best));
  const second = rows.findIndex((name, place) => place !== first && name !== "grey");
  start.elements.one.value = first;
  start.elements.other.value = second < 0 ? 1 - first : second;

  function begin() {
    const [one, other] = [start.elements.one, start.elements.other].map(choice => Number(choice.value));
    fault.textContent = one === other ? "Choose two different rows." : "";
    if (one === other) return;
    session = start.elements.session.valueAsNumber;
    const random = shuffler(session);
    trials = photographs.map(shown => ({ shown, sides: random() < 0.5 ? [one, other] : [other, one] }));
    for (let last = trials.length - 1; last > 0; last--) {
      const place = Math.floor(random() * (last + 1));
      [trials[last], trials[place]] = [trials[place], trials[last]];
    }
    answers = [];
    result.replaceChildren();
    stage.hidden = false;
    next();
  }

  function next() {
    if (answers.length === trials.length) return finish();
    const { shown, sides } = trials[answers.length];
    stage.querySelector(".two").replaceChildren(...sides.map((side, place) =>
      made("img", { src: shown.pictures[side], alt: ["Left picture", "Right picture"][place] })));
    progress.textContent = `Photograph ${answers.length + 1} of ${trials.length}`;
    since = performance.now();
    stage.focus();
  }

  function answer(choice) {
    if (choice === "stop") return finish();
    const { shown, sides } = trials[answers.length];
    answers.push({
      photograph: data.photographs[shown.photograph].id, left: rows[sides[0]], right: rows[sides[1]], choice,
      seconds: ((performance.now() - since) / 1000).toFixed(1),
    });
    next();
  }

  function finish() {
    stage.hidden = true;
    progress.textContent = `${answers.length} of ${trials.length} photographs were judged.`;
    if (!answers.length) return;
    const { left, right } = answers[0], [one, other] = [left, right].sort();
    const decided = answers.filter(given => given.choice !== "none");
    const wins = decided.filter(given => given[given.choice] === one).length;
    const percent = share => (100 * share).toFixed(1) + "%";
    let words = "No preference was given, so there is no rate.";
    if (decided.length) {
      const [low, high] = wilson(wins, decided.length);
      words = `“${one}” was preferred to “${other}” ${wins} times of ${decided.length}: ${percent(wins / decided.length)}, `
        + `95% interval ${percent(low)} to ${percent(high)} (Wilson). ${answers.length - decided.length} without preference are left out.`;
    }
    // The last line sums up: the rate of the row under "left", of those with a preference.
    const rate = decided.length ? [wins / decided.length, ...wilson(wins, decided.length)] : ["", "", ""];
    const columns = ["photograph", "left", "right", "choice", "seconds"];
    const sums = ["session", "preferred", "decided", "preference_rate", "ci_low", "ci_high"];
    const lines = [
      [...columns, ...sums],
      ...answers.map(given => [...columns.map(name => given[name]), session, ...sums.slice(1).fill("")]),
      ["all", one, other, "", "", session, wins, decided.length, ...rate.map(part => part === "" ? "" : part.toFixed(4))],
    ];
    const csv = lines.map(line => line.map(csvCell).join(",") + "\r\n").join("");
    result.replaceChildren(made("p", {}, words), made("p", {}, made("a", {
      href: "data:text/csv;charset=utf-8," + encodeURIComponent(csv), download: "blind-comparison.csv",
    }, "Download the answers as CSV")));
  }

  start.addEventListener("submit", event => { event.preventDefault(); begin(); });
  stage.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (button) answer(button.dataset.choice);
  });
  stage.addEventListener("keydown", event => {
    // The space bar presses a button that has the focus.
    const space = event.key === " " && event.target === stage;
    const choice = space ? "none" : { ArrowLeft: "left", ArrowRight: "right" }[event.key];
    if (!choice || event.repeat) return;
    event.preventDefault();
    answer(choice);
  });
}

const explorer = document.getElementById("explorer");
if (explorer) {
  const data = JSON.parse(explorer.textContent);
  scatterPlot(data);
  if (document.getElementById("blind-start")) blindComparison(data);
}
