"use strict";
// The page: what is chosen (kept in the address, so that a view can be shared), and its reaction to pointer and keys.

const $ = id => document.getElementById(id);
const canvas = $("canvas"), grid = $("grid"), context = canvas.getContext("2d");
const THUMBNAILS = 64;  // heads shown as pictures; the list has all
const TOP_LINKS = 12;

const state = {e: 0, m: 0, head: "mean", scale: "fixed", sinks: "show", theme: "auto", zoom: 0};  // zoom 0: fit
const marks = {cursor: {r: 0, c: 0}, hover: null, pin: null};
let view = null, layout = null, job = 0, printing = false, density = 1;  // density: canvas pixels per CSS pixel

const example = () => examples[state.e];
const map = () => example()?.maps[state.m];
const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const dark = () => !printing && (state.theme === "dark" || (state.theme === "auto" && darkSystem.matches));
const theme = () => dark() ? "dark" : "light";
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

// ---- the address ----

function writeAddress() {
  const out = new URLSearchParams({example: state.e + 1, map: state.m + 1});
  if (map()?.heads > 1) out.set("head", typeof state.head === "number" ? state.head + 1 : state.head);
  for (const key of ["scale", "sinks", "theme"]) if (state[key] !== {scale: "fixed", sinks: "show", theme: "auto"}[key]) out.set(key, state[key]);
  if (state.zoom) out.set("cell", state.zoom);
  if (marks.pin) out.set("pin", `${marks.pin.r + 1},${view.columns[marks.pin.c] + 1}`);
  try { history.replaceState(null, "", "#" + out); } catch { /* some browsers forbid it for files; the view is then not in the address */ }
}

// Anything may stand in an address: what does not exist is brought to the nearest that does.
function readAddress() {
  const from = new URLSearchParams(location.hash.slice(1));
  const index = (key, count) => clamp(Math.trunc(Number(from.get(key)) || 1) - 1, 0, Math.max(count - 1, 0));
  const one = (key, choices) => choices.includes(from.get(key)) ? from.get(key) : choices[0];
  state.e = index("example", examples.length);
  state.m = index("map", example()?.maps.length ?? 0);
  const head = from.get("head");
  state.head = head === "max" || !Number(head) ? (head === "max" ? "max" : "mean") : index("head", map()?.heads ?? 1);
  state.scale = one("scale", ["fixed", "row"]);
  state.sinks = one("sinks", ["show", "hide", "renormalise"]);
  state.theme = one("theme", ["auto", "light", "dark"]);
  state.zoom = clamp(Number(from.get("cell")) || 0, 0, 80);
  const pin = (from.get("pin") ?? "").split(",").map(Number);
  state.pin = pin.length === 2 && pin.every(n => n >= 1) ? pin : null;
}

// ---- what is written around the map ----

function bdi(text) {
  const element = document.createElement("bdi");
  element.className = "token";
  element.dir = "auto";
  element.textContent = text;
  return element;
}

function fillSelect(select, texts, values, chosen) {
  select.replaceChildren(...texts.map((text, i) => new Option(text, values[i])));
  select.value = String(chosen);
}

function showControls() {
  const maps = example().maps;
  fillSelect($("example"), examples.map((x, i) => `${i + 1}. ${x.title}`), [...examples.keys()], state.e);
  fillSelect($("map"), maps.map(m => m.path), [...maps.keys()], state.m);
  const heads = map() ? [...Array(map().heads).keys()] : [];
  fillSelect($("head"), ["mean", "largest", ...heads.map(h => `head ${h + 1}`)], ["mean", "max", ...heads], state.head);
  $("head-label").hidden = heads.length < 2;
  $("sinks-label").hidden = !map() || sinkColumns(map()).size === 0;
  for (const key of ["scale", "sinks", "theme"]) $(key).value = state[key];
  $("texts").replaceChildren(...example().texts.flatMap(([label, text]) => {
    const term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = label;
    value.dir = "auto";
    value.textContent = text;
    return [term, value];
  }));
}

// One small picture per head, each a button. The weights of large maps are read when the page has time.
function showThumbnails() {
  const shown = map(), heads = shown.heads;
  if (heads < 2 || heads > THUMBNAILS) return $("heads").replaceChildren();
  const choices = ["mean", "max", ...Array(heads).keys()];
  const buttons = choices.map(choice => {
    const button = document.createElement("button"), picture = document.createElement("canvas");
    button.type = "button";
    button.tabIndex = choice === state.head ? 0 : -1;  // one tab stop; the arrow keys go on
    button.dataset.head = choice;
    button.setAttribute("aria-pressed", String(choice === state.head));
    button.append(picture, choice === "max" ? "largest" : typeof choice === "number" ? `head ${choice + 1}` : choice);
    button.addEventListener("click", () => choose({head: choice}));
    return button;
  });
  $("heads").replaceChildren(...buttons);
  const mine = job, slow = shown.cells * heads > SLOW;
  const draw = i => {
    if (mine !== job || i >= choices.length) return;
    const picture = buttons[i].firstChild, summary = typeof choices[i] !== "number";
    if (choices[i] === view.choice) paintThumbnail(picture, view);
    else if (slow && summary) picture.hidden = true;  // it would cost reading all heads once more
    else paintThumbnail(picture, new View(shown, last(combineHeads(shown, choices[i])), choices[i], state.sinks));
    slow ? setTimeout(draw, 0, i + 1) : draw(i + 1);
  };
  slow ? setTimeout(draw, 200, 0) : draw(0);
}

function last(steps) {
  let value = null;
  for (value of steps);
  return value;
}

function paintThumbnail(picture, of) {
  const {rows, columns} = of.count;
  if (rows === 0 || columns === 0) return;
  const wide = Math.min(columns, 64), high = Math.min(rows, 48);  // as page.css shows it: scaling down would lose links
  const plain = {place: c => of.map.columns_rtl ? columns - 1 - c : c};
  const image = cellImage(of, plain, {r0: 0, r1: rows, p0: 0, p1: columns}, wide, high, theme(), state.scale);
  picture.width = wide;
  picture.height = high;
  picture.getContext("2d").drawImage(image, 0, 0);
}

function showLinks() {
  const at = marks.pin ?? marks.hover ?? marks.cursor, body = $("links").tBodies[0];
  if (!view || view.count.rows === 0) { body.replaceChildren(); return; }
  const row = view.row(at.r), order = [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, TOP_LINKS).filter(c => row[c] > 0);
  $("links-caption").replaceChildren(`${view.map.row_axis}, ${at.r + 1}: `, bdi(view.rowToken(at.r)), marks.pin ? " (pinned)" : "");
  body.replaceChildren(...order.map((c, i) => {
    const line = document.createElement("tr");
    for (const content of [i + 1, bdi(view.columnToken(c)), view.columns[c] + 1, weightText(row[c])]) line.insertCell().append(content);
    line.cells[3].style.setProperty("--share", clamp(row[c], 0, 1));
    return line;
  }));
  let sum = 0, entropy = 0;
  for (const w of row) { sum += w; if (w > 0) entropy -= w * Math.log2(w); }
  $("row-facts").textContent = `Row sum ${sum.toFixed(4)}; entropy ${Math.max(entropy, 0).toFixed(2)} of at most ${Math.log2(Math.max(row.length, 1)).toFixed(2)} bits.`;
}

function sentence(at) {
  return [`${view.map.row_axis} `, bdi(view.rowToken(at.r)), ` (${at.r + 1} of ${view.count.rows}), ${view.map.column_axis} `, bdi(view.columnToken(at.c)),
    ` (${view.columns[at.c] + 1} of ${view.map.columns.length}): ${weightText(view.at(at.r, at.c))}`];
}

function showReadout(announce) {
  const at = marks.hover ?? marks.cursor;
  if (!view || view.count.rows === 0 || view.count.columns === 0) return;
  $("readout").replaceChildren(...sentence(at));
  $("cell-row").setAttribute("aria-rowindex", marks.cursor.r + 1);
  $("cell").setAttribute("aria-colindex", view.columns[marks.cursor.c] + 1);
  $("cell").textContent = sentence(marks.cursor).map(x => x.textContent ?? x).join("");
  $("cell").setAttribute("aria-selected", String(marks.pin?.r === marks.cursor.r && marks.pin?.c === marks.cursor.c));
  if (announce) $("live").textContent = $("cell").textContent;
  showTip(marks.hover ?? (document.activeElement === grid && grid.matches(":focus-visible") ? marks.cursor : null));
}

function showTip(at) {
  const tip = $("tip");
  tip.hidden = !at;
  if (!at) return;
  const value = document.createElement("b"), box = canvas.getBoundingClientRect();
  value.textContent = weightText(view.at(at.r, at.c));
  tip.replaceChildren(value, document.createElement("br"), bdi(view.rowToken(at.r)), ` (row ${at.r + 1})`, document.createElement("br"), "← ", bdi(view.columnToken(at.c)), ` (column ${view.columns[at.c] + 1})`);
  const x = box.left + layout.x(at.c) - grid.scrollLeft + layout.cell + 10, y = box.top + layout.y(at.r) - grid.scrollTop + layout.cell + 8;
  const size = tip.getBoundingClientRect();
  tip.style.left = `${x + size.width > innerWidth - 4 ? Math.max(4, x - layout.cell - 20 - size.width) : x}px`;
  tip.style.top = `${y + size.height > innerHeight - 4 ? Math.max(4, y - layout.cell - 16 - size.height) : y}px`;
}

// ---- drawing ----

// Whether the table stands beside the map: as page.css has it.
function columnsSideBySide() { return !$("main").classList.contains("wide") && innerWidth > 900; }

function fitCell() {
  const {rows, columns} = view.count, room = $("main").clientWidth - (columnsSideBySide() ? 356 : 0);
  const whole = new Layout(context, view, 16), free = room - whole.left - whole.right - 16;
  let cell = clamp(free / Math.max(columns, 1), 0, 60);
  if (rows > 12) cell = Math.min(cell, Math.max(22, (innerHeight * 0.8 - whole.top) / rows));
  if (cell < LABELLED + 2 && columns <= 160 && rows <= 160) cell = 13;  // small enough to be read by scrolling; larger maps start as an overview
  return cell >= 4 ? Math.floor(cell) : Math.max(cell, 0.05);
}

function place() {
  $("main").classList.toggle("wide", view.count.columns > 32);
  layout = new Layout(context, view, state.zoom || fitCell());
  if (printing && layout.width * layout.height > MOST_PIXELS) layout = shrunk(layout, view);
  $("ramp").style.background = ramps[theme()].css;
  $("spacer").style.width = `${layout.width}px`;
  $("spacer").style.height = `${layout.height}px`;
  // On paper the whole map, which page.css then fits to the page; on a screen as much as the window holds.
  const width = Math.max(1, printing ? layout.width : Math.min(grid.clientWidth, layout.width));
  const height = Math.max(1, printing ? layout.height : Math.min(innerHeight * 0.86, layout.height));
  density = printing ? (layout.width * layout.height * 4 < MOST_PIXELS ? 2 : 1) : devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  draw();
}

let drawing = 0;
function draw() { cancelAnimationFrame(drawing); drawing = requestAnimationFrame(drawNow); }
function drawNow() {
  if (!view || !layout) return;
  context.setTransform(density, 0, 0, density, 0, 0);
  drawMap(context, view, layout, printing ? 0 : grid.scrollLeft, printing ? 0 : grid.scrollTop, canvas.width / density, canvas.height / density, theme(), state.scale, marks, document.activeElement === grid);
}

// Before the weights of a large map have been read: its overview, from the page's first bytes.
function drawOverview(of) {
  const {rows, columns, base64} = of.overview, bytes = bytesOf(base64);
  const wide = Math.min(grid.clientWidth || 800, 1000), high = Math.round(clamp(wide * of.rows.length / of.columns.length, 20, innerHeight * 0.7));
  $("spacer").style.width = `${wide}px`;
  $("spacer").style.height = `${high}px`;
  canvas.width = wide;
  canvas.height = high;
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${high}px`;
  context.imageSmoothingEnabled = false;
  context.drawImage(paintShares(Float32Array.from(bytes, b => b / 255), columns, rows, theme()), 0, 0, wide, high);
}

// Reads the weights that the state asks for, then shows them. Large maps are read piece by piece.
function load() {
  const mine = ++job, shown = map();
  document.documentElement.toggleAttribute("data-dark", dark());
  showControls();
  view = null;
  if (!shown) {
    $("caption").textContent = "No attention was recorded for this example.";
    return;
  }
  for (const other of examples.flatMap(x => x.maps)) if (other !== shown) other.forget();
  const ready = weights => {
    view = new View(shown, weights, state.head, state.sinks);
    marks.cursor = {r: clamp(marks.cursor.r, 0, Math.max(view.count.rows - 1, 0)), c: clamp(marks.cursor.c, 0, Math.max(view.count.columns - 1, 0))};
    marks.hover = null;
    if (state.pin) {
      const c = view.columns.indexOf(state.pin[1] - 1);
      marks.pin = c >= 0 && state.pin[0] <= view.count.rows ? {r: state.pin[0] - 1, c} : null;
      if (marks.pin) marks.cursor = {...marks.pin};
    }
    grid.setAttribute("aria-rowcount", view.count.rows);
    grid.setAttribute("aria-colcount", shown.columns.length);
    grid.setAttribute("aria-busy", "false");
    $("caption").textContent = view.caption();
    $("notice").hidden = !view.notice();
    $("notice").textContent = view.notice();
    $("ramp-name").textContent = (state.scale === "row" ? "share of the row's maximum" : "weight") + `; the largest here is ${weightText(view.largest.reduce((a, b) => Math.max(a, b), 0))}`;
    place();
    showReadout(false);
    showLinks();
    showThumbnails();
    writeAddress();
  };
  const large = shown.cells * shown.heads > SLOW;
  if (!large && shown.loaded()) return ready(last(combineHeads(shown, state.head)));
  grid.setAttribute("aria-busy", "true");
  $("caption").textContent = `${shown.path}: reading ${(shown.cells * shown.heads).toLocaleString("en")} weights …`;
  if (shown.overview) drawOverview(shown);
  if (document.readyState === "loading") return;  // called again when the page is there
  const steps = combineHeads(shown, state.head);
  const step = () => {
    if (mine !== job) return;
    const {value, done} = steps.next();
    if (!done && value) ready(value); else if (!done) setTimeout(step, 0);
  };
  setTimeout(step, 30);
}

// ---- reactions ----

function choose(change) {
  const pinned = marks.pin && [marks.pin.r + 1, view.columns[marks.pin.c] + 1];
  Object.assign(state, change);
  if ("e" in change) state.m = Math.min(state.m, Math.max(example().maps.length - 1, 0));
  if (typeof state.head === "number" && !(state.head < (map()?.heads ?? 0))) state.head = "mean";
  const same = !("e" in change || "m" in change);
  state.pin = same ? pinned : null;
  marks.pin = null;
  if (!same) marks.cursor = {r: 0, c: 0};
  load();
}

function refresh(announce) {
  showReadout(announce);
  showLinks();
  draw();
}

function pin(at) {
  marks.pin = at;
  state.pin = at && [at.r + 1, view.columns[at.c] + 1];
  writeAddress();
}

// Scrolls so that the cursor's cell is clear of the labels.
function reveal() {
  const {r, c} = marks.cursor, {cell, left, top} = layout, x = layout.x(c), y = layout.y(r), margin = cell;
  const wide = canvas.clientWidth, high = canvas.clientHeight;
  if (x - grid.scrollLeft < left) grid.scrollLeft = x - left;
  else if (x + cell + margin - grid.scrollLeft > wide) grid.scrollLeft = x + cell + margin - wide;
  if (y - grid.scrollTop < top) grid.scrollTop = y - top;
  else if (y + cell + margin - grid.scrollTop > high) grid.scrollTop = y + cell + margin - high;
}

function zoom(factor) {
  state.zoom = factor === 0 ? 0 : clamp(layout.cell * factor, 0.05, 80);
  if (state.zoom >= 4) state.zoom = factor > 1 ? Math.ceil(state.zoom) : Math.floor(state.zoom);
  place();
  reveal();
  writeAddress();
  showTip(null);
}

function nextHead(by) {
  if (map().heads < 2) return;
  const all = ["mean", "max", ...Array(map().heads).keys()];
  choose({head: all[(all.indexOf(state.head) + by + all.length) % all.length]});
  $("live").textContent = headName(map(), state.head);
}

function nextMap(by) {
  const count = example().maps.length;
  choose({m: (state.m + by + count) % count});
  $("live").textContent = map().path;
}

function onKey(event) {
  if (event.altKey || event.metaKey || !view) return;
  const at = marks.cursor, most = {r: view.count.rows - 1, c: view.count.columns - 1}, right = layout.flip ? -1 : 1, all = event.ctrlKey;
  if (most.r < 0 || most.c < 0) return;
  const go = (r, c) => () => { marks.cursor = {r: clamp(r, 0, most.r), c: clamp(c, 0, most.c)}; marks.hover = null; reveal(); refresh(true); };
  const pinCursor = () => { pin(marks.pin?.r === at.r && marks.pin?.c === at.c ? null : {...at}); refresh(true); };
  const action = {
    ArrowLeft: go(at.r, at.c - right), ArrowRight: go(at.r, at.c + right), ArrowUp: go(at.r - 1, at.c), ArrowDown: go(at.r + 1, at.c),
    Home: go(all ? 0 : at.r, 0), End: go(all ? most.r : at.r, most.c), PageUp: go(at.r - 10, at.c), PageDown: go(at.r + 10, at.c),
    Enter: pinCursor, " ": pinCursor, Escape: () => { pin(null); marks.hover = null; refresh(false); },
    "[": () => nextHead(-1), "]": () => nextHead(1), "{": () => nextMap(-1), "}": () => nextMap(1),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => zoom(0), "?": () => $("keys").showModal(),
  }[event.key];
  if (!action || (all && !["Home", "End"].includes(event.key))) return;
  event.preventDefault();
  action();
}

function cellAt(event) {
  if (!view || !layout) return null;
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  return x < layout.left || y < layout.top ? null : layout.hit(x + grid.scrollLeft, y + grid.scrollTop);
}

grid.addEventListener("keydown", onKey);
grid.addEventListener("focus", () => view && refresh(true));
grid.addEventListener("blur", () => { showTip(null); draw(); });
grid.addEventListener("scroll", () => { draw(); showTip(null); });
canvas.addEventListener("pointermove", event => {
  const at = cellAt(event);
  if (at?.r === marks.hover?.r && at?.c === marks.hover?.c) return;
  marks.hover = at;
  refresh(false);
});
canvas.addEventListener("pointerleave", () => { marks.hover = null; if (view) refresh(false); });
canvas.addEventListener("click", event => {
  const at = cellAt(event);
  if (!at) return;
  pin(marks.pin?.r === at.r && marks.pin?.c === at.c ? null : at);
  marks.cursor = {...at};
  refresh(true);
});
document.addEventListener("keydown", event => {
  if (event.key === "?" && !event.target.closest("#grid, select, input")) $("keys").showModal();
});
$("heads").addEventListener("keydown", event => {
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!by) return;
  event.preventDefault();
  nextHead(by);
  $("heads").querySelector("[aria-pressed=true]")?.focus();
});
$("controls").addEventListener("submit", event => event.preventDefault());
$("example").addEventListener("change", event => choose({e: Number(event.target.value)}));
$("map").addEventListener("change", event => choose({m: Number(event.target.value)}));
$("head").addEventListener("change", event => choose({head: ["mean", "max"].includes(event.target.value) ? event.target.value : Number(event.target.value)}));
for (const key of ["scale", "sinks", "theme"]) $(key).addEventListener("change", event => choose({[key]: event.target.value}));
$("smaller").addEventListener("click", () => view && zoom(0.8));
$("larger").addEventListener("click", () => view && zoom(1.25));
$("fit").addEventListener("click", () => view && zoom(0));
$("help").addEventListener("click", () => $("keys").showModal());
document.querySelectorAll("[data-save]").forEach(button => button.addEventListener("click", () => {
  if (!view) return;
  ({svg: () => saveSvg(view, layout.cell, state.scale, marks.pin, state.e), png: () => savePng(view, layout.cell, state.scale, marks.pin, state.e),
    csv: () => saveCsv(view, state.e), json: () => saveJson(view, marks.pin, state.e)})[button.dataset.save]();
}));
addEventListener("resize", () => view && place());
addEventListener("hashchange", () => { readAddress(); marks.pin = null; load(); });
darkSystem.addEventListener("change", load);
const print = on => () => { printing = on; if (view) { document.documentElement.toggleAttribute("data-dark", dark()); place(); drawNow(); } };
addEventListener("beforeprint", print(true));
addEventListener("afterprint", print(false));

$("title").textContent = report.title;
$("model").textContent = report.model;
$("precision").textContent = report.packing === "float32"
  ? "The page holds every weight exactly as it was computed (32-bit floats); what is printed is rounded."
  : `To keep the page small each weight is one byte, the square root of its share of the row's largest; no weight is off by more than ${report.error.toPrecision(2)}, and rows keep their sum.`;
if (examples.length === 0) {
  $("caption").textContent = "The report has no example.";
} else {
  readAddress();
  load();
  addEventListener("DOMContentLoaded", () => { if (!view) load(); });
}
