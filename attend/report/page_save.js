"use strict";
// Saves what is shown, selection included, as SVG, PNG, CSV or JSON. Pictures use the light theme and carry caption, notice and legend.

const MOST_PIXELS = 16e6;      // Safari refuses a larger canvas
const MOST_RECTANGLES = 1e5;   // above, an SVG picture holds the cells as one image

function offer(name, type, parts) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, {type}));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function fileName(view, e, extension) {
  const heads = view.map.heads === 1 ? "" : "-" + (typeof view.choice === "number" ? `head-${view.choice + 1}` : view.choice);
  return `attention-${e + 1}-${view.map.path.replace(/[^\w.-]+/g, "_")}${heads}.${extension}`;
}

// What a saved picture says below its caption.
function remarks(view, pin) {
  const out = [];
  if (view.notice()) out.push(view.notice());
  if (pin) out.push(`Selected: ${view.rowToken(pin.r)} (${pin.r + 1}) reads ${weightText(view.at(pin.r, pin.c))} from ${view.columnToken(pin.c)} (${view.columns[pin.c] + 1})`);
  return out;
}

// The layout with cells small enough for a canvas.
function shrunk(layout, view) {
  return new Layout(document.createElement("canvas").getContext("2d"), view, layout.cell * Math.sqrt(MOST_PIXELS / layout.width / layout.height) * 0.95);
}

function savePng(view, cell, scale, pin, e) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  let layout = new Layout(context, view, cell);
  if (layout.width * layout.height > MOST_PIXELS) layout = shrunk(layout, view);
  const lines = remarks(view, pin), top = 30 + 18 * lines.length, density = layout.width * layout.height * 4 < MOST_PIXELS ? 2 : 1;
  canvas.width = Math.max(layout.width, 460) * density;
  canvas.height = (top + layout.height + 46) * density;
  const picture = document.createElement("canvas");
  picture.width = layout.width * density;
  picture.height = layout.height * density;
  const inner = picture.getContext("2d");
  inner.scale(density, density);
  drawMap(inner, view, layout, 0, 0, layout.width, layout.height, "light", scale, {cursor: null, hover: null, pin}, false);
  context.fillStyle = PALETTE.light.paper;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, top * density);
  context.scale(density, density);
  context.fillStyle = PALETTE.light.ink;
  context.font = `600 14px ${FONT}`;
  context.fillText(view.caption(), 12, 20);
  context.font = `12px ${FONT}`;
  lines.forEach((line, i) => context.fillText(line, 12, 40 + 18 * i));
  const y = top + layout.height + 8;
  for (let i = 0; i < 200; ++i) {
    context.fillStyle = cssColour(colourOf("light", i / 199));
    context.fillRect(layout.left + i, y, 1, 10);
  }
  context.fillStyle = PALETTE.light.faint;
  context.textAlign = "center";
  ["0", "0.5", "1"].forEach((text, i) => context.fillText(text, layout.left + 100 * i, y + 24));
  context.textAlign = "left";
  context.fillText(scale === "row" ? "share of the row's maximum" : "weight", layout.left + 212, y + 10);
  canvas.toBlob(blob => offer(fileName(view, e, "png"), "image/png", [blob]), "image/png");
}

const escapeXml = text => text.replace(/[&<>"']/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})[c]);

function saveSvg(view, cell, scale, pin, e) {
  const measure = document.createElement("canvas").getContext("2d");
  const layout = new Layout(measure, view, Math.max(cell, LABELLED + 2)), {rows, columns} = view.count;
  const lines = remarks(view, pin), top = 30 + 18 * lines.length;
  const text = (x, y, content, more = "") => `<text x="${x}" y="${y}"${more}>${escapeXml(content)}</text>\n`;
  const token = (content, room, end) => {
    const rtl = RTL.test(content);
    measure.font = `${layout.font}px ${FONT}`;
    return ` direction="${rtl ? "rtl" : "ltr"}" unicode-bidi="isolate" text-anchor="${end !== rtl ? "end" : "start"}"><title>${escapeXml(content)}</title>${escapeXml(fitText(measure, content, room))}</text>\n`;
  };
  const out = [`<svg xmlns="http://www.w3.org/2000/svg" width="${Math.max(layout.width, 460)}" height="${top + layout.height + 46}" font-family='${FONT}' fill="${PALETTE.light.ink}">\n`,
    `<title>${escapeXml(view.caption())}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n`,
    text(12, 20, view.caption(), ' font-size="14" font-weight="600"')];
  lines.forEach((line, i) => out.push(text(12, 40 + 18 * i, line, ' font-size="12"')));
  out.push(`<g transform="translate(0 ${top})">\n`, `<rect x="${layout.left}" y="${layout.top}" width="${columns * layout.cell}" height="${rows * layout.cell}" fill="#fff" stroke="${PALETTE.light.line}"/>\n`);
  if (rows * columns > MOST_RECTANGLES) {
    const image = cellImage(view, layout, {r0: 0, r1: rows, p0: 0, p1: columns}, columns, rows, "light", scale);
    out.push(`<image x="${layout.left}" y="${layout.top}" width="${columns * layout.cell}" height="${rows * layout.cell}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${image.toDataURL()}"/>\n`);
  } else {
    const nothing = colourOf("light", 0);
    for (let r = 0; r < rows; ++r) {
      for (let c = 0; c < columns; ++c) {
        const colour = colourOf("light", view.share(r, c, scale));
        if (colour === nothing) continue;
        out.push(`<rect x="${layout.x(c) + 0.5}" y="${layout.y(r) + 0.5}" width="${layout.cell - 1}" height="${layout.cell - 1}" fill="${cssColour(colour)}"><title>${weightText(view.at(r, c))}</title></rect>\n`);
        const w = view.at(r, c);
        if (layout.cell >= NUMBERED && w >= 0.005) {
          out.push(text(layout.x(c) + layout.cell / 2, layout.y(r) + layout.cell / 2 + 4, w.toFixed(2).replace(/^0/, ""), ` font-size="12" text-anchor="middle" fill="${inkOn(colour)}" pointer-events="none"`));
        }
      }
    }
  }
  if (pin) out.push(`<rect x="${layout.x(pin.c) + 1.5}" y="${layout.y(pin.r) + 1.5}" width="${layout.cell - 3}" height="${layout.cell - 3}" fill="none" stroke="${PALETTE.light.accent}" stroke-width="3"/>\n`);
  out.push(`<g font-size="${layout.font}">\n`);
  for (let r = 0; r < rows; ++r) out.push(`<text x="${layout.left - 7}" y="${layout.y(r) + layout.cell / 2 + layout.font * 0.35}"` + token(view.rowToken(r), layout.rowLabel + 4, true));
  for (let c = 0; c < columns; ++c) {
    const middle = layout.x(c) + layout.cell / 2 + layout.font * 0.25;
    out.push(`<text transform="translate(${middle} ${layout.top - 5}) rotate(-60)"` + token(view.columnToken(c), LONGEST_LABEL, false));
  }
  const {row_axis, column_axis} = view.map;
  out.push("</g>\n", text(layout.left, 14, layout.flip ? `← ${column_axis}` : `${column_axis} →`, ` font-size="12" fill="${PALETTE.light.faint}"`),
    text(0, 0, `← ${row_axis}`, ` font-size="12" fill="${PALETTE.light.faint}" text-anchor="end" transform="translate(15 ${layout.top}) rotate(-90)"`));
  const y = layout.height + 8;
  const stops = report.ramps.light.map((colour, i, all) => `<stop offset="${i / (all.length - 1)}" stop-color="${colour}"/>`).join("");
  out.push(`<linearGradient id="attend-ramp">${stops}</linearGradient>\n<rect x="${layout.left}" y="${y}" width="200" height="10" fill="url(#attend-ramp)"/>\n`);
  ["0", "0.5", "1"].forEach((label, i) => out.push(text(layout.left + 100 * i, y + 24, label, ' font-size="11" text-anchor="middle"')));
  out.push(text(layout.left + 212, y + 10, scale === "row" ? "share of the row's maximum" : "weight", ' font-size="12"'), "</g>\n</svg>\n");
  offer(fileName(view, e, "svg"), "image/svg+xml", out);
}

function saveCsv(view, e) {
  const quote = text => `"${text.replace(/"/g, '""')}"`;
  const parts = ["row,row_token,column,column_token,weight\r\n"];
  for (let r = 0; r < view.count.rows; ++r) {
    const start = `${r + 1},${quote(view.map.rows[r])},`;
    let lines = "";
    for (let c = 0; c < view.count.columns; ++c) lines += `${start}${view.columns[c] + 1},${quote(view.map.columns[view.columns[c]])},${Number(view.at(r, c).toPrecision(7))}\r\n`;
    parts.push(lines);
  }
  offer(fileName(view, e, "csv"), "text/csv", parts);
}

function saveJson(view, pin, e) {
  const {path, row_axis, column_axis, rows} = view.map;
  const head = JSON.stringify({
    title: report.title, model: report.model, example: examples[e].title, path, heads: headName(view.map, view.choice) || "one head", notice: view.notice(),
    packing: report.packing, packing_error: report.error, row_axis, column_axis, rows, columns: view.columns.map(c => view.map.columns[c]),
    column_positions: view.columns.map(c => c + 1), selected: pin ? {row: pin.r + 1, column: view.columns[pin.c] + 1} : null,
  });
  const parts = [head.slice(0, -1), ',"weights":['];
  for (let r = 0; r < view.count.rows; ++r) {
    parts.push((r ? ",\n" : "\n") + JSON.stringify(Array.from(view.row(r), w => Number(w.toPrecision(7)))));
  }
  parts.push("\n]}\n");
  offer(fileName(view, e, "json"), "application/json", parts);
}
