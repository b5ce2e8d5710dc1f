"use strict";
// Draws a View on a canvas: labels that stay in place, the visible cells, the marked ones. One canvas as large as the window at most,
// so that maps of any size cost the same.

const FONT = 'system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
const TILT = Math.PI / 3;     // of column labels
const LABELLED = 10;          // pixels a cell needs for its token to be written
const NUMBERED = 38;          // ... for its weight to be written
const LONGEST_LABEL = 150;    // pixels
const RTL = /^[^\p{L}]*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/u;

const ramps = Object.fromEntries(Object.entries(report.ramps).map(([name, colours]) => {
  const steps = colours.map(hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)));
  const table = new Uint32Array(1024);  // ABGR, the order of ImageData's bytes
  for (let i = 0; i < table.length; ++i) {
    const x = i / (table.length - 1) * (steps.length - 1), k = Math.min(Math.floor(x), steps.length - 2);
    const [r, g, b] = steps[k].map((v, c) => Math.round(v + (x - k) * (steps[k + 1][c] - v)));
    table[i] = (0xff000000 | b << 16 | g << 8 | r) >>> 0;
  }
  return [name, {table, css: `linear-gradient(to right, ${colours.join(", ")})`}];
}));
const PALETTE = {
  light: {paper: "#ffffff", ink: "#1b1f24", faint: "#57606a", line: "#d0d7de", band: "#eef1f4", accent: "#b3261e"},
  dark: {paper: "#16181d", ink: "#e6e9ee", faint: "#a3acb8", line: "#3b424c", band: "#262b32", accent: "#ff8a75"},
};
const colourOf = (theme, share) => ramps[theme].table[Math.round(Math.min(Math.max(share, 0), 1) * 1023)];
function cssColour(abgr) { return "#" + [0, 8, 16].map(s => (abgr >>> s & 255).toString(16).padStart(2, "0")).join(""); }
// Black or white, whichever is legible on the colour (WCAG relative luminance).
function inkOn(abgr) {
  const [r, g, b] = [0, 8, 16].map(s => ((abgr >>> s & 255) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
}

const graphemes = window.Intl?.Segmenter ? new Intl.Segmenter(undefined, {granularity: "grapheme"}) : null;
const split = text => graphemes ? Array.from(graphemes.segment(text), s => s.segment) : Array.from(text);
// `text` cut between graphemes to at most `room` pixels in the context's font.
function fitText(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  const parts = split(text);
  while (parts.length > 1 && context.measureText(parts.join("") + "…").width > room) parts.pop();
  return parts.join("") + "…";
}

// Where things are, in pixels of the whole picture. `cell` is the side of a cell.
class Layout {
  constructor(context, view, cell) {
    this.cell = cell;
    this.font = Math.min(14, Math.max(10.5, cell * 0.72));
    this.flip = view.map.columns_rtl;  // positions run right to left, as the language does
    context.font = `${this.font}px ${FONT}`;
    const widest = (count, token) => {
      let most = 0;
      for (let i = 0; i < Math.min(count, 2000); ++i) most = Math.max(most, context.measureText(token(i)).width);
      return Math.min(most, LONGEST_LABEL);
    };
    this.labelled = cell >= LABELLED;
    const {rows, columns} = view.count;
    this.rowLabel = this.labelled ? widest(rows, r => view.rowToken(r)) : 40;
    this.columnLabel = this.labelled ? widest(columns, c => view.columnToken(c)) : 30;
    this.level = this.labelled && this.columnLabel <= cell - 8;  // labels short enough to be written level
    this.left = Math.ceil(26 + this.rowLabel + 10);
    this.top = Math.ceil(26 + (this.level || !this.labelled ? this.font + 8 : this.columnLabel * Math.sin(TILT) + this.font + 6));
    this.right = Math.ceil(this.level || !this.labelled ? 14 : this.columnLabel * Math.cos(TILT) + 16);
    context.font = `12px ${FONT}`;
    this.axis = {row: context.measureText("← " + view.map.row_axis).width, column: context.measureText(view.map.column_axis + " →").width};
    this.width = Math.max(Math.ceil(this.left + columns * cell) + this.right, Math.ceil(this.left + this.axis.column + 8));
    this.height = Math.max(Math.ceil(this.top + rows * cell) + 3, Math.ceil(this.top + this.axis.row + 4));
    this.count = view.count;
  }
  place(c) { return this.flip ? this.count.columns - 1 - c : c; }  // column -> place from the left, and back
  x(c) { return this.left + this.place(c) * this.cell; }
  y(r) { return this.top + r * this.cell; }
  // The cell at a point of the picture; null outside.
  hit(x, y) {
    const place = Math.floor((x - this.left) / this.cell), r = Math.floor((y - this.top) / this.cell);
    if (place < 0 || r < 0 || place >= this.count.columns || r >= this.count.rows) return null;
    return {r, c: this.place(place)};
  }
}

// The cells [r0, r1) x places [p0, p1) as an image of `wide` x `high` pixels; where a pixel covers several cells it shows the largest:
// single strong links must not vanish.
function cellImage(view, layout, box, wide, high, theme, scale) {
  const shares = new Float32Array(wide * high);
  const rows = box.r1 - box.r0, places = box.p1 - box.p0;
  const columnOf = Int32Array.from({length: places}, (_, i) => view.columns[layout.place(box.p0 + i)]);
  const pixelOf = Int32Array.from({length: places}, (_, i) => Math.floor(i * wide / places));
  const stride = view.map.columns.length;
  for (let i = 0; i < rows; ++i) {
    const r = box.r0 + i, base = r * stride, out = Math.floor(i * high / rows) * wide;
    const factor = scale === "row" ? (view.largest[r] > 0 ? view.factor[r] / view.largest[r] : 0) : view.factor[r];
    for (let k = 0; k < places; ++k) {
      const share = factor * view.weights[base + columnOf[k]], at = out + pixelOf[k];
      if (share > shares[at]) shares[at] = share;
    }
  }
  return paintShares(shares, wide, high, theme);
}

function paintShares(shares, wide, high, theme) {
  const image = document.createElement("canvas");
  image.width = wide;
  image.height = high;
  const data = new ImageData(wide, high);
  new Uint32Array(data.data.buffer).set(Uint32Array.from(shares, share => colourOf(theme, share)));
  image.getContext("2d").putImageData(data, 0, 0);
  return image;
}

function writeToken(context, text, x, y, align, room) {
  context.direction = RTL.test(text) ? "rtl" : "ltr";
  context.textAlign = align;
  context.fillText(fitText(context, text, room), x, y);
}

// Draws the part of the picture that begins at (sx, sy) and is `width` x `height` large; labels stay at the edges.
// `marks`: {cursor, hover, pin}, each {r, c} or null.
function drawMap(context, view, layout, sx, sy, width, height, theme, scale, marks, focused) {
  const colours = PALETTE[theme], {cell, left, top, count} = layout;
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  const box = {
    p0: Math.max(0, Math.floor(sx / cell)), p1: Math.min(count.columns, Math.ceil((sx + width - left) / cell)),
    r0: Math.max(0, Math.floor(sy / cell)), r1: Math.min(count.rows, Math.ceil((sy + height - top) / cell)),
  };
  const current = marks.hover ?? marks.cursor;
  const x = p => left + p * cell - sx, y = r => top + r * cell - sy;

  if (box.p1 > box.p0 && box.r1 > box.r0) {
    context.save();
    context.beginPath();
    context.rect(left, top, width - left, height - top);
    context.clip();
    const across = (box.p1 - box.p0) * cell, down = (box.r1 - box.r0) * cell;
    const wide = Math.max(1, cell >= 1 ? box.p1 - box.p0 : Math.round(across)), high = Math.max(1, cell >= 1 ? box.r1 - box.r0 : Math.round(down));
    context.imageSmoothingEnabled = false;
    context.drawImage(cellImage(view, layout, box, wide, high, theme, scale), x(box.p0), y(box.r0), across, down);
    if (cell >= 8) drawGrid(context, layout, box, x, y, colours);
    if (cell >= NUMBERED) drawNumbers(context, view, layout, box, x, y, theme, scale);
    const outline = (at, colour, line) => {
      if (!at) return;
      const inset = cell >= 8 ? line / 2 : 0, side = Math.max(cell, 4);
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.strokeRect(x(layout.place(at.c)) + inset, y(at.r) + inset, side - 2 * inset, side - 2 * inset);
    };
    outline(marks.hover, colours.ink, 2);
    if (focused) outline(marks.cursor, colours.accent, 3);
    outline(marks.pin, colours.accent, 3);
    context.restore();
  }
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.strokeRect(left - 0.5, top - 0.5, Math.min(count.columns * cell - sx, width - left) + 1, Math.min(count.rows * cell - sy, height - top) + 1);
  drawRowLabels(context, view, layout, box, y, height, colours, current, marks.pin);
  drawColumnLabels(context, view, layout, box, x, width, colours, current);
  drawAxes(context, view, layout, width, height, colours);
}

function drawGrid(context, layout, box, x, y, colours) {
  context.strokeStyle = colours.paper;
  context.lineWidth = 1;
  context.beginPath();
  for (let p = box.p0; p <= box.p1; ++p) { context.moveTo(x(p), y(box.r0)); context.lineTo(x(p), y(box.r1)); }
  for (let r = box.r0; r <= box.r1; ++r) { context.moveTo(x(box.p0), y(r)); context.lineTo(x(box.p1), y(r)); }
  context.stroke();
}

function drawNumbers(context, view, layout, box, x, y, theme, scale) {
  context.font = `12px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.direction = "ltr";
  for (let r = box.r0; r < box.r1; ++r) {
    for (let p = box.p0; p < box.p1; ++p) {
      const c = layout.place(p), w = view.at(r, c);
      if (w < 0.005) continue;
      context.fillStyle = inkOn(colourOf(theme, view.share(r, c, scale)));
      context.fillText(w.toFixed(2).replace(/^0/, ""), x(p) + layout.cell / 2, y(r) + layout.cell / 2 + 1);
    }
  }
}

// Every token where there is room; numbers at round steps otherwise.
function labelStep(layout) { return layout.labelled ? 1 : [10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find(step => step * layout.cell >= 46) ?? 10000; }

function drawRowLabels(context, view, layout, box, y, height, colours, current, pin) {
  context.save();
  context.beginPath();
  context.rect(0, layout.top, layout.left, height - layout.top);
  context.clip();
  context.textBaseline = "middle";
  const step = labelStep(layout);
  for (let r = box.r0; r < box.r1; ++r) {
    const marked = current?.r === r || pin?.r === r;
    if (marked && layout.labelled) {
      context.fillStyle = colours.band;
      context.fillRect(22, y(r), layout.left - 23, layout.cell);
    }
    if (!layout.labelled && (r + 1) % step !== 0) continue;
    context.font = `${marked ? "600 " : ""}${layout.font}px ${FONT}`;
    context.fillStyle = marked ? colours.accent : layout.labelled ? colours.ink : colours.faint;
    writeToken(context, layout.labelled ? view.rowToken(r) : String(r + 1), layout.left - 7, y(r) + layout.cell / 2 + 0.5, "right", layout.rowLabel + 4);
  }
  context.restore();
}

function drawColumnLabels(context, view, layout, box, x, width, colours, current) {
  context.save();
  context.beginPath();
  context.rect(layout.left - 4, 20, width - layout.left + 4, layout.top - 20);
  context.clip();
  const step = labelStep(layout);
  for (let p = box.p0; p < box.p1; ++p) {
    const c = layout.place(p), marked = current?.c === c;
    if (!layout.labelled && (view.columns[c] + 1) % step !== 0) continue;
    context.font = `${marked ? "600 " : ""}${layout.font}px ${FONT}`;
    context.fillStyle = marked ? colours.accent : layout.labelled ? colours.ink : colours.faint;
    const text = layout.labelled ? view.columnToken(c) : String(view.columns[c] + 1), middle = x(p) + layout.cell / 2;
    if (layout.level || !layout.labelled) {
      context.textBaseline = "alphabetic";
      writeToken(context, text, middle, layout.top - 7, "center", layout.columnLabel + 8);
    } else {
      context.save();
      context.translate(middle + layout.font * 0.25, layout.top - 5);
      context.rotate(-TILT);
      context.textBaseline = "alphabetic";
      writeToken(context, text, 0, 0, "left", layout.columnLabel + 6);
      context.restore();
    }
  }
  context.restore();
}

function drawAxes(context, view, layout, width, height, colours) {
  context.font = `12px ${FONT}`;
  context.fillStyle = colours.faint;
  context.direction = "ltr";
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  const {row_axis, column_axis} = view.map;
  context.fillText(layout.flip ? `← ${column_axis}` : `${column_axis} →`, layout.left, 14);
  context.save();
  context.translate(15, layout.top);
  context.rotate(-Math.PI / 2);
  context.textAlign = "right";
  context.fillText(`← ${row_axis}`, 0, 0);
  context.restore();
}
