// The page: asks for the sweep's state again and again, and for the rest when it has changed. Texts are set as text,
// never as HTML; numbers are the server's, written here.

const POLL_MS = 1000, HIDDEN_POLL_MS = 15000, MACHINE_MS = 3000;
const RARELY_MS = 30000;  // what takes the server seconds is asked for again no sooner
const ROW_PX = 31;  // as the style sheet has it
const BEST_SHOWN = 5, MOST_CHOSEN = 60;

const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const PLOT = { responsive: true, displayModeBar: false };

const page = {
  version: null,
  state: null,
  columns: [],            // of the table of trials: name, title, form, values
  order: [],              // rows that are shown, as places in the columns' values
  sort: { name: null, down: false },
  filter: "",
  asked: false,           // whether the heat map is of the reader's choice
  cell: null,             // trials of the heat map's chosen cell, and its name
  chosen: [],             // trials whose curves are drawn; empty: the best
  open: null,             // the trial whose log is shown; null: the best
};

// ---- small things ------------------------------------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made && name !== "style") made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const decimals = (value, digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
const FORMS = {
  fraction: (value) => `${(100 * value).toFixed(2)} %`,
  bytes: (value) => (value ? `${(value / 1e9).toPrecision(3)} GB` : "0"),
  seconds: (value) => `${value && Math.abs(value) < 0.1 ? value.toPrecision(3) : decimals(value, value < 100 ? 1 : 0)} s`,
  time: (value) => new Date(value).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }),
  number: (value) => (Number.isInteger(value) && Math.abs(value) < 1e5 ? String(value)
    : Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? String(+value.toPrecision(4)) : value.toExponential(2).replace("e+", "e")),
  text: String,
};
const several = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
const write = (form, value) => (value === null || value === undefined ? "–" : FORMS[form](value));

const known = new Map();  // address -> [entity tag, answer]: an unchanged answer is not sent again

async function ask(name, parameters = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== null && one !== "") query.append(key, one);
  }
  const address = `api/${name}${query.size ? `?${query}` : ""}`;
  const held = known.get(address);
  const answer = await fetch(address, { headers: held ? { "If-None-Match": held[0] } : {}, cache: "no-store" });
  if (answer.status === 304) return held[1];
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  if (known.size > 40) known.clear();
  known.set(address, [answer.headers.get("ETag"), content]);
  return content;
}

let plotly = null;
function plotlyReady() {
  plotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: "plotly.js" });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly.js could not be loaded"));
    document.head.append(script);
  });
  return plotly;
}

async function plot(id, figure) {
  const drawer = await plotlyReady();
  await drawer.react(byId(id), figure.data, { ...figure.layout, uirevision: "kept" }, PLOT);
}

const theme = () => (dark.matches ? "dark" : "light");

function wordTable(words, long = -1) {
  const kind = (place) => (place === long ? "long" : words.left[place] ? "" : "number");
  return element("table", {},
    element("thead", {}, element("tr", {}, ...words.heads.map((head, place) => element("th", { className: kind(place) }, head)))),
    element("tbody", {}, ...words.rows.map((row) => element("tr", {}, ...row.map((cell, place) => element("td", { className: kind(place) }, cell))))));
}

// ---- what the sweep is, and how it stands ------------------------------------------------------------------------

function showState(state) {
  document.title = state.name;
  byId("name").textContent = state.name;
  byId("question").textContent = state.question.slice(0, [...state.question, ""].indexOf("")).join(" ");
  byId("answer").textContent = state.answer;
  byId("folder").textContent = state.folder;
  byId("counts").replaceChildren(
    ...Object.entries(state.counts).map(([status, count]) => element("li", {}, `${count} ${status}`)),
    element("li", {}, `${several(state.trials, "trial")}, ${several(state.epochs, "epoch")}`));
  for (const id of ["standing", "notice"]) {
    byId(id).textContent = (state[id] ?? "").replaceAll("`", "");
    byId(id).hidden = !state[id] || state[id] === state.answer;
  }
  byId("live").className = state.running ? "running" : "";
  byId("live").textContent = state.running ? "live" : "not running";
  setOptions(byId("curve-metric"), state.curve_metrics.map((metric) => [metric.name, metric.title]));
}

function setOptions(select, options, chosen = select.value) {
  const made = JSON.stringify(options);
  if (select.dataset.made !== made) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
    select.dataset.made = made;
  }
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0]?.[0] ?? "";
}

// ---- table of trials: only the rows in view are in the page ------------------------------------------------------

const column = (name) => page.columns.find((one) => one.name === name);
const idOf = (row) => column("trial_id").values[row];

function arrange() {
  const count = column("trial_id")?.values.length ?? 0;
  const inCell = page.cell && new Set(page.cell.trials);
  const words = page.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const texts = page.columns.filter((one) => one.form === "text");
  let rows = Array.from({ length: count }, (_, row) => row);
  if (inCell) rows = rows.filter((row) => inCell.has(idOf(row)));
  if (words.length) {
    rows = rows.filter((row) => {
      const text = texts.map((one) => one.values[row] ?? "").join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  const by = column(page.sort.name);
  if (by) {
    const sign = page.sort.down ? -1 : 1;
    rows.sort((one, other) => {
      const [a, b] = [by.values[one], by.values[other]];
      if (a === null || b === null) return (a === null) - (b === null);
      return a === b ? 0 : sign * (a < b ? -1 : 1);
    });
  }
  page.order = rows;
  byId("shown").textContent = rows.length === count ? `${count}` : `${rows.length} of ${count}`;
  byId("cell").hidden = !page.cell;
  byId("cell").textContent = page.cell ? `${page.cell.name} ✕` : "";
}

function widthOf(one) {
  const step = Math.max(1, Math.floor(one.values.length / 200));
  let most = one.title.length + 2;
  for (let row = 0; row < one.values.length; row += step) most = Math.max(most, write(one.form, one.values[row]).length);
  return `${0.85 * Math.min(most, 28) + 2.5}ch`;
}

function drawTable() {
  const heads = page.columns.map((one) => {
    const sorted = page.sort.name === one.name;
    const button = element("button", { type: "button", title: one.name }, one.title + (sorted ? (page.sort.down ? " ▼" : " ▲") : ""));
    button.addEventListener("click", () => sortBy(one.name));
    return element("th", { className: one.form === "text" ? "" : "number", "aria-sort": sorted ? (page.sort.down ? "descending" : "ascending") : "none" }, button);
  });
  const columns = element("colgroup", {}, element("col"), ...page.columns.map(() => element("col")));
  [...columns.children].forEach((one, place) => { one.style.width = place ? widthOf(page.columns[place - 1]) : "2.2rem"; });
  const curves = element("th", { title: "draw its curve" }, element("span", {}, ""));
  const before = byId("scroll").querySelector("tbody");
  const body = before ?? element("tbody");
  byId("scroll").replaceChildren(element("table", {}, columns, element("thead", {}, element("tr", {}, curves, ...heads)), body));
  drawRows();
}

function drawRows() {
  const body = byId("scroll").querySelector("tbody");
  if (!body) return;
  const first = Math.max(0, Math.min(page.order.length - 1, Math.floor(byId("scroll").scrollTop / ROW_PX) - 8));
  const last = Math.min(page.order.length, first + Math.ceil(byId("scroll").clientHeight / ROW_PX) + 16);
  const focused = document.activeElement?.dataset?.trial;
  const gap = (rows) => {
    const cell = element("td", { className: "gap", colSpan: page.columns.length + 1 });
    cell.style.height = `${rows * ROW_PX}px`;
    return element("tr", { "aria-hidden": "true" }, cell);
  };
  body.replaceChildren(gap(first), ...page.order.slice(first, last).map(tableRow), gap(page.order.length - last));
  if (focused) body.querySelector(`button[data-trial="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function tableRow(row) {
  const id = idOf(row);
  const drawn = shownCurves().includes(id);
  const box = element("input", { type: "checkbox", checked: drawn, ariaLabel: `draw the curve of ${id}` });
  const cells = page.columns.map((one) => {
    const text = write(one.form, one.values[row]);
    if (one.name !== "trial_id") return element("td", { className: one.form === "text" ? "" : "number", title: text }, text);
    const button = element("button", { type: "button", title: text }, text);
    button.dataset.trial = id;
    return element("td", {}, button);
  });
  const made = element("tr", { className: id === page.open ? "row chosen" : "row" }, element("td", {}, box), ...cells);
  made.addEventListener("click", (event) => {
    if (event.target === box || event.ctrlKey || event.metaKey) toggleCurve(id);
    else openTrial(id);
  });
  return made;
}

function sortBy(name) {
  const numbers = column(name).form !== "text" && name !== "rank";
  const again = page.sort.name === name;
  page.sort = again && page.sort.down !== numbers ? { name: null, down: false } : { name, down: again ? !page.sort.down : numbers };
  arrange();
  drawTable();
}

// ---- curves, and the trial whose log is shown --------------------------------------------------------------------

const shownCurves = () => (page.chosen.length ? page.chosen : (column("trial_id")?.values ?? []).slice(0, BEST_SHOWN));

async function drawCurves() {
  const trials = shownCurves();
  const best = page.chosen.length === 0;
  byId("clear").hidden = best;
  const figure = await ask("curves", { trial: trials.slice(0, MOST_CHOSEN), metric: byId("curve-metric").value, theme: theme() });
  const drawn = trials.length > MOST_CHOSEN ? `, the first ${MOST_CHOSEN} of them drawn` : "";
  byId("chosen").textContent = !figure.data.length ? "none has been measured yet" : best ? `the best ${trials.length}` : `${several(trials.length, "trial")} chosen${drawn}`;
  byId("curves-plot").hidden = !figure.data.length;
  if (figure.data.length) await plot("curves-plot", figure);
}

function choose(trials) {
  page.chosen = trials;
  drawRows();
  attempt(drawCurves);
}

function toggleCurve(id) {
  const shown = shownCurves();
  choose(shown.includes(id) ? shown.filter((one) => one !== id) : [...shown, id]);
}

function openTrial(id) {
  page.open = id;
  choose([id]);
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  attempt(drawTrial).then(() => { if (innerWidth < 1200) byId("trial").scrollIntoView({ block: "nearest" }); });
}

async function drawTrial() {
  const id = page.open ?? column("trial_id")?.values[0];
  if (id === undefined) return;
  const trial = await ask("trial", { id });
  const entries = (list) => element("dl", {}, ...list.flatMap((one) => [element("dt", {}, one.title), element("dd", {}, write(one.form, one.value))]));
  byId("trial-title").textContent = `Trial ${trial.trial_id}: ${trial.status ?? ""}`;
  const parts = trial.why.map((line) => element("p", {}, line));
  if (trial.error) parts.push(element("h3", {}, "Error"), element("pre", { className: "warning" }, trial.error));
  parts.push(element("h3", {}, "Log"), element("pre", { id: "log" }, trial.log.join("\n") || "nothing yet"));
  parts.push(element("h3", {}, "Outcome"), entries(trial.outcome), element("h3", {}, "Configuration"), entries(trial.configuration));
  const scrolled = byId("trial-body").scrollTop;
  byId("trial-body").replaceChildren(...parts);
  byId("trial-body").scrollTop = scrolled;
}

// ---- heat map ----------------------------------------------------------------------------------------------------

async function drawHeatmap() {
  const form = byId("choice");
  let answer;
  try {
    answer = await ask("heatmap", page.asked ? Object.fromEntries(new FormData(form)) : {});
  } catch (error) {
    byId("heatmap-told").textContent = error.message;
    byId("grid").replaceChildren();
    return;
  }
  const { choices, grid } = answer;
  const names = choices.parameters.map((name) => [name, name]);
  setOptions(form.x, names.length ? names : [["", "–"]], grid?.x.name);
  setOptions(form.y, [["", "nothing"], ...names], grid?.y.name);
  setOptions(form.metric, choices.metrics.map((one) => [one.name, one.title]), choices.metric);
  setOptions(form.aggregate, choices.aggregates.map((name) => [name, name]), grid?.aggregate);
  form.at_epoch.max = choices.epochs;
  form.at_epoch.placeholder = grid?.epoch ?? "equal";
  byId("heatmap-title").textContent = grid ? grid.title : "Heat map";
  byId("heatmap-told").textContent = grid ? grid.subtitle : "No parameter differs between the trials so far.";
  byId("grid").replaceChildren(...(grid ? [gridTable(grid)] : []));
}

function gridTable(grid) {
  const rows = grid.rows.map((row) => element("tr", {},
    element("th", { scope: "row", title: row.label }, row.label),
    ...row.cells.map((cell, place) => element("td", {}, gridCell(grid, row, cell, grid.x.labels[place])))));
  const across = grid.x.name + (grid.x.log ? " (bins even in the logarithm)" : "");
  return element("table", { className: "grid" },
    ...(grid.y.name ? [element("thead", {}, element("tr", {}, element("th", {}, `${grid.y.name} ↓`)))] : []),
    element("tbody", {}, ...rows),
    element("tfoot", {},
      element("tr", {}, element("th"), ...grid.x.labels.map((label) => element("th", { scope: "col", title: label }, label))),
      element("tr", {}, element("th"), element("th", { className: "across", colSpan: grid.x.labels.length }, across))));
}

function gridCell(grid, row, cell, across) {
  if (!cell.trials.length) return element("span", { title: "no trial" });
  const name = [`${grid.x.name} ${across}`, grid.y.name ? `${grid.y.name} ${row.label}` : ""].filter(Boolean).join(", ");
  const button = element("button", { type: "button", ariaLabel: `${name}: ${cell.value} ${cell.note}` },
    ...(cell.value ? [element("b", {}, cell.value)] : []), element("small", {}, cell.note));
  if (cell.value) { button.style.background = cell.fill; button.style.color = cell.ink; } else button.className = "ended";
  button.ariaPressed = String(page.cell?.name === name);
  button.addEventListener("click", () => openCell(page.cell?.name === name ? null : { name, trials: cell.trials }));
  return button;
}

function openCell(cell) {
  page.cell = cell;
  arrange();
  byId("scroll").scrollTop = 0;
  if (cell && page.order.length) {
    page.open = idOf(page.order[0]);
    attempt(drawTrial);
  }
  choose(cell ? page.order.map(idOf) : []);
  attempt(drawHeatmap);
}

// ---- Pareto front --------------------------------------------------------------------------------------------------

async function drawFront() {
  const front = await ask("front", { theme: theme() });
  byId("front").hidden = !front;
  if (!front) return;
  byId("front-told").textContent = front.told;
  const list = byId("front-plots");
  while (list.children.length > front.plots.length) list.lastElementChild.remove();
  while (list.children.length < front.plots.length) {
    const place = list.children.length;
    list.append(element("div", {}, element("h3", {}), element("div", { id: `front-plot-${place}`, className: "plot" })));
  }
  for (const [place, one] of front.plots.entries()) {
    list.children[place].querySelector("h3").textContent = one.name;
    const drawn = list.children[place].querySelector(".plot");
    await plot(drawn.id, one.figure);
    drawn.removeAllListeners("plotly_click");
    drawn.on("plotly_click", (event) => { if (event.points[0].customdata) openTrial(event.points[0].customdata); });
  }
}

// ---- decisions, machines, course, cost, importance ---------------------------------------------------------------

async function drawDecisions() {
  const { rungs, latest, audit } = await ask("decisions");
  byId("rungs").replaceChildren(rungs.rows.length ? wordTable(rungs) : element("p", { className: "muted" }, "No trial has come to a rung."));
  byId("rungs").append(...audit.map((line) => element("p", {}, line.replaceAll("`", ""))));
  byId("latest").replaceChildren(...(latest.length ? [
    element("h3", {}, "Latest"),
    wordTable({ heads: ["trial", "value", "decision"], left: [true, false, true], rows: latest.map((one) => [one.trial_id, one.value, one.text]) })] : []));
}

async function drawMachines() {
  const { nodes, here, host, machine, environment } = await ask("machines");
  const size = (value) => (value ? write("bytes", value) : "–");
  byId("nodes").replaceChildren(nodes.length ? wordTable({
    heads: ["node", "device", "trials", "running", "reserved now", "peak of one trial"], left: [true, true, false, false, false, false],
    rows: nodes.map((one) => [one.node, one.device, `${one.trials}`, `${one.running}`, size(one.reserved_bytes), size(one.peak_bytes)]),
  }) : element("p", { className: "muted" }, "The tables name no node yet."));
  const meter = (name, used, most, text) => element("div", { className: "meter" }, element("span", {}, name), element("meter", { max: most, value: used, ariaLabel: `${name}: ${text}` }), element("span", {}, text));
  const of = (used, most) => `${write("bytes", used)} of ${write("bytes", most)}`;
  const meters = machine ? [
    element("h3", {}, `${host}, now`),
    meter(`${machine.cores} CPU cores`, machine.cpu_fraction, 1, `${Math.round(100 * machine.cpu_fraction)} % busy`),
    meter("memory", machine.memory_used_bytes, machine.memory_bytes, of(machine.memory_used_bytes, machine.memory_bytes)),
    ...machine.gpus.filter((gpu) => gpu.memory_bytes).map((gpu) => meter(gpu.name, gpu.memory_used_bytes, gpu.memory_bytes, of(gpu.memory_used_bytes, gpu.memory_bytes)))]
    : [element("p", { className: "muted" }, host ? `The sweep was run on ${host}: its memory is not measured from here.` : "Where the sweep was run is not known.")];
  byId("meters").replaceChildren(...meters);
  byId("environment").replaceChildren(wordTable({ heads: ["", ""], left: [true, true], rows: environment }, 1));
  byId("machines").dataset.here = here;
}

async function drawCourse() {
  const figure = await ask("course", { theme: theme() });
  byId("course").hidden = !figure;
  byId("course-told").textContent = figure?.told ?? "";
  if (figure) await plot("course-plot", figure);
}

async function drawSpent() {
  const { cost, failures, refused } = await ask("spent");
  byId("cost").replaceChildren(cost.rows.length ? wordTable(cost) : element("p", { className: "muted" }, "Nothing has been spent."));
  byId("failures").replaceChildren(...(failures.rows.length ? [element("h3", {}, "Failed and diverged trials"), wordTable(failures, 1)] : []),
    ...(refused ? [element("p", {}, refused)] : []));
}

async function drawConfirmed() {
  const findings = await ask("confirmations");
  byId("confirmed").hidden = !findings.length;
  byId("confirmed").replaceChildren(...findings.flatMap((one) => [
    element("h2", {}, one.title), ...one.text.map((line) => element("p", { className: "muted" }, line)),
    element("div", { className: "wide" }, wordTable(one.table))]));
}

async function drawImportance() {
  if (!byId("importance-box").open) return;
  byId("importance-told").textContent ||= "computing …";
  const figure = await ask("importance", { theme: theme() });
  byId("importance-told").textContent = [figure.caution, figure.told].filter(Boolean).join(". ");
  byId("importance-plot").hidden = !figure.data.length;
  if (figure.data.length) await plot("importance-plot", figure);
}

async function drawFindings() {
  if (!byId("findings-box").open) return;
  if (!byId("findings-list").children.length) byId("findings-told").textContent = "computing …";
  const findings = await ask("findings");
  byId("findings-told").textContent = findings.length ? "" : "None yet.";
  byId("findings-list").replaceChildren(...findings.map((one) => {
    const address = `api/picture?${new URLSearchParams({ name: one.figure, theme: theme(), version: page.version })}`;
    return element("article", {}, element("h3", {}, one.title), ...one.text.map((line) => element("p", { className: "muted" }, line)),
      ...(one.figure ? [element("div", { className: "wide" }, element("img", { src: address, alt: one.alternative }))] : []),
      ...(one.table ? [element("div", { className: "wide" }, wordTable(one.table))] : []));
  }));
}

// ---- the rounds --------------------------------------------------------------------------------------------------

async function attempt(draw) {
  try {
    await draw();
  } catch (error) {
    console.error(error);
    byId("live").className = "lost";
    byId("live").textContent = error instanceof TypeError ? "no connection; trying again" : error.message;
  }
}

async function refresh(state) {
  page.columns = (await ask("trials")).columns;
  arrange();
  drawTable();
  performance.mark("table");
  showState(state);
  await Promise.all([drawConfirmed, drawHeatmap, drawDecisions, drawSpent, drawTrial].map(attempt));
  performance.mark("heatmap");
  await Promise.all([drawFront, drawCurves, drawCourse].map(attempt));
  performance.mark("curves");
  page.version = state.version;
}

let next = 0;
async function round() {
  clearTimeout(next);
  await attempt(async () => {
    const state = await ask("state");
    if (state.version !== page.version) await refresh(state);
    else showState(state);
  });
  next = setTimeout(round, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
}

let rare = null;
function rareRound() {
  if (!document.hidden && page.version !== rare) {
    rare = page.version;
    [drawImportance, drawFindings].forEach(attempt);
  }
}

function machineRound() {
  if (!document.hidden) attempt(drawMachines);
  setTimeout(machineRound, MACHINE_MS);
}

byId("scroll").addEventListener("scroll", () => requestAnimationFrame(drawRows));
byId("filter").addEventListener("input", (event) => { page.filter = event.target.value; arrange(); byId("scroll").scrollTop = 0; drawRows(); });
byId("cell").addEventListener("click", () => openCell(null));
byId("clear").addEventListener("click", () => choose([]));
byId("curve-metric").addEventListener("change", () => attempt(drawCurves));
byId("choice").addEventListener("change", () => { page.asked = true; page.cell = null; arrange(); drawRows(); attempt(drawHeatmap); });
byId("choice").addEventListener("submit", (event) => event.preventDefault());
byId("importance-box").addEventListener("toggle", () => attempt(drawImportance));
byId("findings-box").addEventListener("toggle", () => attempt(drawFindings));
dark.addEventListener("change", () => [drawFront, drawCurves, drawCourse, drawImportance, drawFindings].forEach(attempt));
document.addEventListener("visibilitychange", () => { if (!document.hidden) round(); });

page.open = location.hash ? decodeURIComponent(location.hash.slice(1)) : null;
round();
machineRound();
setInterval(rareRound, RARELY_MS);
