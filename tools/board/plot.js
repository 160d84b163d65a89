// Line charts on a canvas. Colours follow the page's scheme; a gap (NaN) interrupts a line.
"use strict";
const nbtPlot = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };

  // Round numbers that divide a range into at most so many parts.
  function ticks(low, high, most) {
    const raw = (high - low) / most;
    const ten = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * ten).find((one) => one >= raw);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  }

  // A range with some room around the numbers that are there.
  function room(values, least) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) [low, high] = [0, 1];
    const extra = Math.max(0.08 * (high - low), least);
    return [low - extra, high + extra];
  }

  function path(context, from, to, point) {
    let open = false;
    context.beginPath();
    for (let step = from; step <= to; step++) {
      const [x, y] = point(step);
      if (Number.isNaN(y)) open = false;
      else if (open) context.lineTo(x, y);
      else {
        context.moveTo(x, y);
        context.lineTo(x, y); // a number between gaps is a dot
      }
      if (!Number.isNaN(y)) open = true;
    }
  }

  // The steps in view without a gap, run by run.
  function runs({ from, to }, values) {
    const found = [[]];
    for (let step = from; step <= to; step++) {
      if (!Number.isNaN(values(step))) found.at(-1).push(step);
      else if (found.at(-1).length) found.push([]);
    }
    return found.filter((run) => run.length);
  }

  // Arguments: view { from, to, range, now }, steps and numbers in view; parts, drawn in their order, of
  // which each has its stroke { light, dark, dash, width, alpha } and
  //   values: step -> number, a line;   low, high: step -> number, an area between them;
  //   marks: steps, with values, triangles;   rule: a number, a horizontal line.
  function draw(canvas, view, parts) {
    const scale = devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const [low, high] = view.range;
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const x = (step) => MARGIN.left + ((step - view.from) / (view.to - view.from)) * inner.width;
    const y = (value) => MARGIN.top + ((high - value) / (high - low)) * inner.height;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `12px ${style.fontFamily}`;
    context.fillStyle = style.getPropertyValue("--text-soft");
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of ticks(low, high, Math.max(inner.height / 40, 5))) {
      context.fillText(String(value), MARGIN.left - 6, y(value));
      context.strokeRect(MARGIN.left, y(value), inner.width, 0);
    }
    context.textAlign = "center";
    context.textBaseline = "bottom";
    for (const step of ticks(view.from, view.to, Math.max(inner.width / 90, 2))) {
      if (step >= 0) context.fillText(step.toLocaleString("en"), Math.min(x(step), width - 18), height);
    }
    context.save();
    context.beginPath();
    context.rect(MARGIN.left, 0, inner.width, height - MARGIN.bottom);
    context.clip();
    for (const part of parts) one(context, view, part, x, y);
    context.restore();
  }

  function one(context, view, { stroke, ...part }, x, y) {
    const colour = dark.matches ? stroke.dark : stroke.light;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = stroke.width ?? 1.5;
    context.setLineDash(stroke.dash ?? []);
    context.lineCap = stroke.dash?.length ? "butt" : "round";
    context.globalAlpha = stroke.alpha ?? 1;
    if (part.rule !== undefined) {
      path(context, 0, 1, (end) => [x(end ? view.to : view.from), y(part.rule)]);
      context.stroke();
    } else if (part.marks) {
      for (const step of part.marks) {
        const [at, top] = [x(step), Math.max(y(part.values(step)) - 4, 10)];
        context.beginPath();
        context.moveTo(at, top);
        context.lineTo(at - 6, top - 10);
        context.lineTo(at + 6, top - 10);
        context.fill();
      }
    } else if (part.low) {
      for (const run of runs(view, part.low)) {
        context.beginPath();
        for (const step of run) context.lineTo(x(step), y(part.high(step)));
        for (const step of run.reverse()) context.lineTo(x(step), y(part.low(step)));
        context.fill();
      }
    } else {
      path(context, view.from, view.to, (step) => [x(step), y(part.values(step))]);
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }
  return { draw, room };
})();
