// Charts, sorting, filters and the theme: everything a page does, without any request.
const root = document.documentElement;
let paper = false;
const dark = matchMedia("(prefers-color-scheme: dark)");
function isDark() { return !paper && (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches); }
// Figures are drawn as plain SVG when they come near; that takes some milliseconds.
const shown = new WeakMap();
function read(figure) {
  if (!shown.has(figure)) shown.set(figure, JSON.parse(figure.querySelector(".chart-data").textContent));
  return shown.get(figure);
}
function inked(charts) {
  for (const chart of charts) for (const { marker, line } of chart.data) for (const one of [marker, line]) {
    if (one && (one.color === "#000000" || one.black)) { one.black = true; one.color = isDark() ? "#ffffff" : "#000000"; }
  }
  return charts;
}
function sketched(figure) {
  figure.dataset.drawn = "sketch";
  const plots = figure.querySelectorAll(".plot");
  inked(read(figure)).forEach((chart, i) => sketch(plots[i], chart, isDark()));
}
function redrawn() {
  for (const figure of document.querySelectorAll(".chart[data-drawn]")) figure.dataset.drawn === "sketch" ? sketched(figure) : drawn(figure);
}
// Plotly is four megabytes and takes the browser a second: it is read when somebody asks to zoom.
let library = null;
function plotly() {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = document.body.dataset.plotly;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
  return library;
}
// One drawing of a figure after the other: the theme may turn while it is drawn.
function drawn(figure) {
  figure.dataset.drawn = "plotly";
  const before = waiting.get(figure) ?? Promise.resolve();
  waiting.set(figure, before.then(() => drawing(figure)));
  return waiting.get(figure);
}
const waiting = new WeakMap();
async function drawing(figure) {
  await plotly();
  const style = getComputedStyle(root);
  const ink = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
  const plots = figure.querySelectorAll(".plot");
  const charts = inked(read(figure));
  charts.forEach(({ layout, data }) => {
    layout.font = { color: ink, size: 12, family: "system-ui, DejaVu Sans, sans-serif" };
    for (const axis of ["xaxis", "yaxis"]) { layout[axis].gridcolor = line; layout[axis].linecolor = line; }
    for (const { error_x: error } of data) if (error && (!error.color || error.ink)) { error.color = ink; error.ink = true; }
  });
  for (const [i, chart] of charts.entries()) {
    await new Promise((done) => setTimeout(done));  // a reader who clicks meanwhile is answered first
    plots[i].dataset.dark = isDark() ? "yes" : "no";
    plots[i].querySelector(".sketch")?.remove();
    await draw(plots[i], chart, isDark(), { displayModeBar: false });
  }
}
const seen = "IntersectionObserver" in window ? new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting && !entry.target.dataset.drawn) sketched(entry.target);
}, { rootMargin: "200px" }) : null;
for (const figure of document.querySelectorAll(".chart")) {
  if (seen) seen.observe(figure); else sketched(figure);
  const zoom = figure.querySelector(".zoom");
  zoom.hidden = false;
  zoom.addEventListener("click", () => {
    zoom.disabled = true;
    zoom.textContent = "Loading…";
    setTimeout(() => drawn(figure).then(() => { zoom.hidden = true; figure.focus(); }), 50);
  });
}
// Paper is light, whatever the screen is.
function printing(on) { paper = on; redrawn(); if (on) sketchAll(); }
function sketchAll() { for (const figure of document.querySelectorAll(".chart")) if (!figure.dataset.drawn) sketched(figure); }
function drawAll() { return Promise.all([...document.querySelectorAll(".chart")].map(drawn)); }
addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(false));
let resizing = 0, width = root.clientWidth;
addEventListener("resize", () => {
  clearTimeout(resizing);
  if (root.clientWidth !== width) resizing = setTimeout(() => {
    width = root.clientWidth;
    for (const figure of document.querySelectorAll(".chart[data-drawn=sketch]")) sketched(figure);
  }, 250);
});
// Theme
const button = document.querySelector(".theme");
let kept = null;
try { kept = localStorage.getItem("inferbench-theme"); } catch { kept = null; }
function theme(name) {
  if (name) root.dataset.theme = name;
  button.setAttribute("aria-pressed", String(isDark()));
  redrawn();
}
button.hidden = false;
theme(kept);
button.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  try { localStorage.setItem("inferbench-theme", next); } catch { /* a page from a file may keep nothing */ }
  theme(next);
});
dark.addEventListener("change", () => theme(null));
// Menu on a phone
const menu = document.querySelector(".menu"), nav = document.querySelector("nav");
menu.addEventListener("toggle", () => nav.classList.toggle("open", menu.open));
// Tables
function value(row, column) {
  const cell = row.cells[column];
  return cell.dataset.sort !== undefined && cell.dataset.sort !== "" ? Number(cell.dataset.sort) : cell.textContent.trim();
}
function compare(a, b) {
  const numbers = [typeof a === "number", typeof b === "number"];
  if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1; // what is missing stands last
  return numbers[0] ? a - b : String(a).localeCompare(String(b));
}
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    const missing = (row) => typeof value(row, column) === "string" && row.cells[column].textContent.trim() === "–";
    rows.sort((a, b) => missing(a) - missing(b) || (up ? 1 : -1) * compare(value(a, column), value(b, column)));
    table.tBodies[0].append(...rows);
  }));
}
function filter(id) {
  const table = document.getElementById(id), input = document.querySelector(`[data-filter="${id}"]`);
  const words = (input ? input.value : "").toLowerCase().split(/\s+/).filter(Boolean);
  const boxes = [...document.querySelectorAll(`[data-choose="${id}"]`)];
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const chosen = boxes.every((box) => box.checked || row.cells[Number(box.dataset.column)].textContent !== box.value);
    row.hidden = !(chosen && words.every((word) => text.includes(word)));
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById(`${id}-count`).textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}
for (const input of document.querySelectorAll("[data-filter]")) input.addEventListener("input", () => filter(input.dataset.filter));
for (const box of document.querySelectorAll("[data-choose]")) box.addEventListener("change", () => filter(box.dataset.choose));
