"use strict";
// The page's own script: it selects target and horizon, moves the view, and sets the colours.
// BokehJS draws the figures, which nbt_embed/app/figures.py describes.
const nbtPage = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const print = matchMedia("print");
  const HEADROOM = 0.6; // share of the truth's range by which a forecast may widen the scale
  const EXTREME = { low: Math.min, high: Math.max, score: Math.max };
  let documents = []; // Bokeh's current documents
  const waiting = new Map(); // source -> data for the next frame

  // Change a figure in this page only, without a message to the server.
  const set = (model, values) => model.setv(values, { sync: false });
  const models = () => documents.flatMap((one) => one.roots().flatMap((root) => [...root.references()]));
  const named = (name) => models().filter((model) => model.name === name);
  const roleOf = (model) => model.tags?.find((tag) => tag?.role);

  // ---- colours -------------------------------------------------------------------------------

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text-soft").trim();
    const line = style.getPropertyValue("--line").trim();
    const night = dark.matches && !print.matches;
    for (const model of models()) {
      const has = (name) => name in model.properties;
      if (has("axis_line_color")) {
        set(model, { axis_line_color: line, minor_tick_line_color: null });
        if (model.major_tick_line_color !== null) set(model, { major_tick_line_color: line });
        set(model, { major_label_text_color: text, axis_label_text_color: text });
      }
      if (has("grid_line_color")) set(model, { grid_line_color: line });
      const tag = roleOf(model);
      if (!tag) continue;
      const colour = night ? tag.dark : tag.light;
      const target = model.glyph ?? model;
      for (const property of ["line_color", "fill_color"]) {
        if (property in target.properties && !(tag.role === "band" && property === "line_color"))
          set(target, { [property]: colour });
      }
      if ("hatch_color" in target.properties)
        set(target, { hatch_color: style.getPropertyValue("--page").trim() });
      if (tag.role === "window") set(target, { fill_alpha: 0.15, line_alpha: 0.9 });
    }
  }

  // ---- what is in view -----------------------------------------------------------------------

  // Index of the first x at or above a value.
  function first(x, value) {
    let [low, high] = [0, x.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The points from..to of every column; if there are more than `most`, the lowest and the highest
  // of each of most / 2 equal pieces, in order.
  function thinned(data, from, to, most) {
    const out = {};
    const rows = to - from;
    if (rows <= most) {
      for (const [name, column] of Object.entries(data)) out[name] = column.slice(from, to);
      return [out, 1];
    }
    const pieces = Math.max(most >> 1, 1);
    const edge = (piece) => from + Math.floor((piece * rows) / pieces);
    for (const [name, column] of Object.entries(data)) {
      const kept = new Float64Array(2 * pieces);
      for (let piece = 0; piece < pieces; piece++) {
        const [begin, end] = [edge(piece), edge(piece + 1)];
        let [least, greatest] = [-1, -1];
        if (name === "x" || name === "row") [least, greatest] = [begin, end - 1];
        else
          for (let i = begin; i < end; i++) {
            if (Number.isNaN(column[i])) continue;
            if (least < 0 || column[i] < column[least]) least = i;
            if (greatest < 0 || column[i] > column[greatest]) greatest = i;
          }
        let pair = least < 0 ? [NaN, NaN] : [column[Math.min(least, greatest)], column[Math.max(least, greatest)]];
        if (name in EXTREME) pair = pair.fill(EXTREME[name](...pair));
        kept.set(pair, 2 * piece);
      }
      out[name] = kept;
    }
    return [out, Math.ceil(rows / pieces)];
  }

  function limits(column) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of column ?? []) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }

  function scale(data, values) {
    let [low, high] = limits(data.truth);
    const others = ["forecast", "low", "high"].map((name) => limits(data[name]));
    if (low > high) [low, high] = [Math.min(...others.map((one) => one[0])), Math.max(...others.map((one) => one[1]))];
    if (!(low <= high)) [low, high] = [0, 1];
    const room = HEADROOM * (high - low || Math.abs(high) || 1);
    for (const [least, greatest] of others) {
      if (least < low) low = Math.max(least, low - room);
      if (greatest > high) high = Math.min(greatest, high + room);
    }
    const margin = 0.06 * (high - low) || 0.5 * Math.abs(high) || 1;
    set(values, { start: low - margin, end: high + margin });
  }

  // A pair of points for every two pixels.
  const points = () => Math.min(Math.max(document.documentElement.clientWidth, 300), 1100);

  function drawNow(full, shown, view, values) {
    const x = full.data.x;
    const from = Math.max(first(x, view.start) - 1, 0);
    const to = Math.min(first(x, view.end) + 2, x.length);
    const [data, each] = thinned(full.data, from, to, points());
    set(shown, { data });
    scale(data, values);
    const said = document.getElementById("in-view");
    if (said && to > from) {
      const count = (row) => row.toLocaleString("en-US");
      const kept = each > 1 ? `; drawn are the lowest and the highest of every ${count(each)} points` : "";
      said.textContent = `Rows ${count(full.data.row[from])} to ${count(full.data.row[to - 1])}${kept}.`;
    }
  }

  function draw(full, shown, view, values) {
    if (!waiting.size)
      requestAnimationFrame(() => {
        const jobs = [...waiting.values()];
        waiting.clear();
        for (const job of jobs) drawNow(...job);
      });
    waiting.set(shown, [full, shown, view, values]);
  }

  // ---- moving the view -----------------------------------------------------------------------

  function move(how) {
    const [view] = named("view");
    const [whole] = named("whole").filter((model) => model.x_range);
    if (!view || !whole) return;
    const [least, most] = [whole.x_range.start, whole.x_range.end];
    const width = view.end - view.start;
    const middle = (view.start + view.end) / 2;
    let [start, end] = {
      earlier: [view.start - 0.7 * width, view.end - 0.7 * width],
      later: [view.start + 0.7 * width, view.end + 0.7 * width],
      in: [middle - width / 4, middle + width / 4],
      out: [middle - width, middle + width],
      whole: [least, most],
      end: view.tags[0],
    }[how];
    if (end - start >= most - least) [start, end] = [least, most];
    else if (start < least) [start, end] = [least, least + end - start];
    else if (end > most) [start, end] = [most - (end - start), most];
    if (end > start) set(view, { start, end });
  }

  function series(box) {
    for (const model of models()) {
      if (model.glyph && roleOf(model)?.role === box.dataset.series)
        set(model, { visible: box.checked });
    }
  }

  function dragging(zooms) {
    for (const tool of named("pan")) tool.active = !zooms;
    for (const tool of named("box")) tool.active = zooms;
  }

  // ---- one target and horizon ----------------------------------------------------------------

  // A figure has role img and a text, so its parts are not reached by keyboard.
  function quiet(element) {
    for (const one of element.querySelectorAll("*")) {
      if (one.tabIndex >= 0 || one.hasAttribute("tabindex")) one.removeAttribute("tabindex");
      if (one.shadowRoot) quiet(one.shadowRoot);
    }
  }

  let turn = 0;
  async function show(key) {
    const mine = ++turn;
    const stage = document.getElementById("stage");
    const template = document.getElementById(`view-${key}`);
    for (const one of documents) one.clear();
    documents = [];
    stage.replaceChildren(template.content.cloneNode(true));
    stage.setAttribute("aria-busy", "true");
    for (const item of stage.querySelectorAll("script.item")) {
      const place = document.getElementById(item.dataset.into);
      await Bokeh.embed.embed_item(JSON.parse(item.textContent), place.id);
      if (mine !== turn) return; // superseded by a newer choice
      documents.push(Bokeh.documents.at(-1));
      item.remove();
    }
    begin(stage);
    stage.setAttribute("aria-busy", "false");
  }

  // The parts of the first target's figure that differ between pages.
  const parts = () => ["full", "shown", "view", "values"].map((name) => named(name)[0]);

  function begin(stage) {
    const [full, shown, view, values] = parts();
    if (full) {
      set(view, { tags: [[view.start, view.end]] });
      overview(full);
      drawNow(full, shown, view, values);
    }
    for (const box of stage.querySelectorAll("input[data-series]")) {
      box.addEventListener("change", () => series(box));
    }
    for (const button of stage.querySelectorAll("button[data-move]")) {
      button.addEventListener("click", () => move(button.dataset.move));
    }
    stage.querySelector("#drag")?.addEventListener("change", (event) => dragging(event.target.checked));
    paint();
    for (const drawing of stage.querySelectorAll(".drawing")) quiet(drawing);
  }

  // The overview strip.
  function overview(full) {
    const [whole] = named("whole").filter((model) => model.data);
    const { x, truth } = full.data;
    set(whole, { data: thinned({ x, truth }, 0, x.length, points())[0] });
  }

  async function copy(button) {
    const text = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(text.textContent);
      document.getElementById("copied").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      document.getElementById("copied").textContent = "Selected: copy it with your keyboard.";
    }
  }

  function start() {
    if (window.Bokeh) Bokeh.set_log_level("error");
    const target = document.getElementById("target");
    const horizon = document.getElementById("horizon");
    if (target && horizon) {
      const chosen = () => show(`${horizon.value}-${target.value}`);
      target.addEventListener("change", chosen);
      horizon.addEventListener("change", chosen);
      chosen();
    }
    for (const button of document.querySelectorAll("button[data-copies]")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(button));
    }
    dark.addEventListener("change", paint);
    print.addEventListener("change", paint);
  }

  document.addEventListener("DOMContentLoaded", start);
  const adopt = (shown) => (documents = [shown]);
  return { adopt, begin, draw, named, overview, parts, set };
})();
