// The page: sensors give readings, the kernel learns them, the page shows both.
"use strict";
const nbtBoard = (() => {
  const { CHANNELS, LEVELS, LEARNER, LINEAR, COPY } = nbtKernel;
  const BUDGET = 12; // ms of a frame for steps
  const TOLD = 500; // ms between texts
  const TIMED = 200; // steps of a copy that the time of a step is measured with
  const TIMED_EVERY = 3000; // ms
  const SAVED = 200000; // readings that are kept for a file
  const LOG = 8; // lines
  const QUIET = 50; // steps without a status before it is logged again
  const SHOWN_ERRORS = 1200; // steps
  const NINES = 7;
  const NOTABLE = [1, 3, 4, 6]; // statuses of nbt.h: skipped, stuck, reset, not finite
  const data = JSON.parse(document.getElementById("data").textContent);
  const NAMES = data.channels.map(([name]) => name);
  const UNITS = data.channels.map(([, unit]) => unit);
  const element = (id) => document.getElementById(id);
  const put = (id, text) => {
    if (element(id).textContent !== text) element(id).textContent = text; // else it would be announced again
  };
  const chosen = (id) => Number(element(id).value);
  const count = (number) => number.toLocaleString("en");
  const samples = (number) => `${number} ${number === 1 ? "sample" : "samples"}`;
  const settings = { noise: 0.02, turn: 12, drift: 1, loose: false, swapped: false, faults: [] };
  const seed = 1;
  let kernel, sensors, history, saved, held, heard, logged, pending;
  let running = false, due = 0, before = 0, told = 0, timed = -Infinity, microseconds = NaN;

  // ---- steps --------------------------------------------------------------------------------------

  function repair() {
    settings.swapped = false;
    settings.faults = NAMES.map(() => new Set());
  }

  // A new learner and a new machine; faults stay.
  function restart() {
    for (const which of [LEARNER, LINEAR]) kernel.start(which, chosen("units"), chosen("ahead"), seed);
    sensors = new nbtSensors.Sensors(seed, settings);
    history = new nbtHistory.History(CHANNELS);
    saved = [];
    held = NAMES.map(() => NaN); // the last reading that was not lost
    heard = {}; // status -> the step at which it was last answered
    logged = [];
    log();
  }

  // One reading, learnt as the label of the forecast that waited for it; then the next forecast.
  function step() {
    const now = history.length;
    const ahead = chosen("ahead");
    const reading = sensors.next();
    if (saved.length < SAVED) saved.push(reading);
    kernel.take(reading);
    const waits = kernel.pending(LEARNER) === ahead;
    let learnt = 0;
    if (waits) {
      learnt = kernel.learn(LEARNER);
      kernel.learn(LINEAR);
    }
    const scores = waits ? Float32Array.from(kernel.scores(LEARNER)) : reading.map(() => NaN);
    const alarms = waits ? kernel.alarms(LEARNER) : 0;
    history.close(reading, scores);
    const predicted = kernel.predict(LEARNER);
    kernel.predict(LINEAR);
    remember(now, ahead);
    report(now, scores, alarms, Math.max(learnt, predicted));
  }

  // Store the forecasts for the step `ahead`; a lost reading keeps the last value.
  function remember(now, ahead) {
    const forecast = kernel.forecast(LEARNER);
    const linear = kernel.forecast(LINEAR);
    const bounds = kernel.bounds(LEARNER);
    const counts = now >= ahead; // a learner that has seen no label does not forecast yet
    for (let channel = 0; channel < CHANNELS; channel++) {
      const reading = history.at("reading", now, channel);
      if (!Number.isNaN(reading)) held[channel] = reading;
      const at = 2 * (LEVELS * channel + 1); // the second level is 80 %
      const put = (name, value) => history.put(name, now + ahead, channel, counts ? value : NaN);
      put("last", held[channel]);
      put("learner", forecast[channel]);
      put("linear", linear[channel]);
      put("low", bounds[at]);
      put("high", bounds[at + 1]);
    }
  }

  function report(now, scores, alarms, said) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      if (!(alarms >> channel & 1)) continue;
      history.alarms.push({ step: now, channel });
      log(`Step ${count(now)}: alarm of ${NAMES[channel].toLowerCase()}, score ${scores[channel].toFixed(5)}.`);
    }
    if (NOTABLE.includes(said) && !(now - heard[said] < QUIET)) log(`Step ${count(now)}: ${kernel.text(said)}.`);
    heard[said] = now;
  }

  function log(...texts) {
    logged = [...texts, ...logged].slice(0, LOG);
    element("log").replaceChildren(...(logged.length ? logged : ["Nothing yet."]).map(
      (text) => Object.assign(document.createElement("li"), { textContent: text }),
    ));
  }

  function advance(steps) {
    for (let i = 0; i < steps; i++) step();
  }

  // The time of a step by a copy of the learner, since clocks of browsers are coarse.
  function measure() {
    kernel.copy();
    const ahead = chosen("ahead");
    const readings = saved.slice(-TIMED);
    const began = performance.now();
    for (let i = 0; i < TIMED; i++) {
      kernel.take(readings[i]);
      if (kernel.pending(COPY) === ahead) kernel.learn(COPY);
      kernel.predict(COPY);
    }
    microseconds = ((performance.now() - began) * 1000) / TIMED;
  }

  // ---- pictures -----------------------------------------------------------------------------------

  function charts() {
    const channel = chosen("channel");
    const canvas = element("forecast");
    const steps = Math.min(Math.max(Math.round(canvas.clientWidth / 5), 60), 220);
    const to = Math.max(history.length - 1, steps) + chosen("ahead");
    const view = { from: to - steps - chosen("ahead"), to };
    const track = (name) => (now) => history.at(name, now, channel);
    const strokes = data.strokes;
    const alarms = history.alarms.filter((one) => one.channel === channel && one.step >= view.from);
    const marks = alarms.map((one) => one.step);
    const seen = [];
    for (let now = view.from; now < history.length; now++) {
      seen.push(track("reading")(now), track("learner")(now));
    }
    const past = (name) => (now) => (now < history.length ? track(name)(now) : NaN);
    nbtPlot.draw(canvas, { ...view, range: nbtPlot.room(seen, 1e-3) }, [
      { low: track("low"), high: track("high"), stroke: strokes.band },
      { values: track("linear"), stroke: strokes.linear },
      { values: past("reading"), stroke: strokes.reading },
      { values: track("learner"), stroke: strokes.learner },
      { marks, values: track("reading"), stroke: strokes.alarm },
    ]);

    const nines = (now) => Math.min(-Math.log10(1 - past("score")(now)), NINES);
    nbtPlot.draw(element("score"), { ...view, range: [0, NINES + 1.5] }, [
      { rule: -Math.log10(1 - kernel.threshold), stroke: { ...strokes.alarm, dash: [6, 4], width: 1 } },
      { values: nines, stroke: strokes.reading },
      { marks, values: nines, stroke: strokes.alarm },
    ]);

    const from = Math.max(history.length - SHOWN_ERRORS, 0);
    const errors = Object.fromEntries(
      nbtHistory.MODELS.map((name) => [name, history.errors(name, channel, from)]),
    );
    const highest = nbtPlot.room(Object.values(errors).flatMap((one) => [...one]), 1e-6)[1];
    nbtPlot.draw(
      element("error"),
      { from, to: Math.max(history.length - 1, from + steps), range: [0, highest] },
      ["last", "linear", "learner"].map((name) => ({
        values: (now) => errors[name][now - from] ?? NaN, stroke: strokes[name],
      })),
    );
  }

  // ---- texts --------------------------------------------------------------------------------------

  const digits = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–");

  function errorOf(name, channel) {
    return history.errors(name, channel, Math.max(history.length - 1, 0))[0] ?? NaN;
  }

  // The rows of a table, each its name and its cells. Only texts that differ are changed: what is
  // selected or read stays so.
  function fill(id, rows) {
    const body = element(id);
    if (body.rows.length !== rows.length) {
      body.innerHTML = rows.map(([, ...cells]) =>
        `<tr><th scope="row" class="name"></th>${"<td></td>".repeat(cells.length)}</tr>`).join("");
    }
    rows.forEach((texts, place) => texts.forEach((text, column) => {
      const cell = body.rows[place].cells[column];
      if (cell.textContent !== text) cell.textContent = text;
    }));
  }

  function verdict(channel) {
    const [own, last, linear] = ["learner", "last", "linear"].map((name) => errorOf(name, channel));
    if (Number.isNaN(own) || Number.isNaN(last)) return "Nothing is learnt yet.";
    const scored = count(Math.min(nbtHistory.SCORED, history.length));
    return `${NAMES[channel]}, ${samples(chosen("ahead"))} ahead, over the last ${scored} readings: the learner's error is ` +
      `${digits(own / last)} times that of the last value and ${digits(own / linear)} times that of recursive least squares.`;
  }

  function texts() {
    const channel = chosen("channel");
    const now = history.length - 1;
    const own = errorOf("learner", channel);
    put("verdict", verdict(channel));
    put("steps", count(history.length));
    put("bytes", count(kernel.bytes(LEARNER)));
    put("time", Number.isNaN(microseconds) ? "–" : microseconds.toFixed(microseconds < 100 ? 1 : 0));
    put("against-last", digits(own / errorOf("last", channel)));
    put("against-linear", digits(own / errorOf("linear", channel)));
    put("hash", kernel.hash(LEARNER));
    put("heading", `${NAMES[channel]} (${UNITS[channel]}), forecast ${samples(chosen("ahead"))} ahead`);
    fill("now", NAMES.map((name, one) => [
      `${name} (${UNITS[one]})`, digits(history.at("reading", now, one)), digits(history.at("learner", now, one)),
      `${digits(history.at("low", now, one))} to ${digits(history.at("high", now, one))}`,
      Number.isNaN(history.at("score", now, one)) ? "–" : history.at("score", now, one).toFixed(5),
      ...["learner", "last", "linear"].map((model) => digits(errorOf(model, one))),
    ]));
    const [learner, linear] = [kernel.counters(LEARNER), kernel.counters(LINEAR)];
    fill("counters", Object.entries(data.counters).map(
      ([name, meaning]) => [meaning, count(learner[name]), count(linear[name])],
    ));
    const broken = NAMES.flatMap((name, one) => [...settings.faults[one]].map(
      (fault) => `${name.toLowerCase()}: ${data.faults[fault].toLowerCase()}`,
    ));
    if (settings.swapped) broken.push("position and current are swapped");
    if (settings.loose) broken.push("a part is loose");
    put("broken", broken.length ? `Now: ${broken.join("; ")}.` : "Now: everything works.");
    element("forecast").setAttribute("aria-label",
      `Line chart of ${NAMES[channel]}: reading, forecast and 80 % interval over the last steps. ` +
      "The tables below have the current values.");
  }

  // What follows from the settings alone.
  function costs() {
    const units = chosen("units");
    const memory = kernel.memory.buffer.byteLength;
    put("budget",
      `The learner takes ${count(kernel.bytes(LEARNER))} bytes (NBT_BYTES), recursive least squares ${count(kernel.bytes(LINEAR))}. ` +
      `The module's fixed memory of ${count(memory)} bytes contains both, a copy of the learner that measures the time of ` +
      `a step, constants and the stack. The program itself has ${count(data.moduleBytes)} bytes.`);
    fill("boards", data.costs[units].map(
      (one) => [one.processor, `${one.board}, ${one.mhz} MHz`, count(one.instructions), one.milliseconds],
    ));
  }

  // ---- controls -----------------------------------------------------------------------------------

  function shown() {
    charts();
    texts();
  }

  function run(goes) {
    running = goes;
    element("run").textContent = goes ? "Pause" : "Run";
    element("step").disabled = goes;
    before = 0;
    cancelAnimationFrame(pending);
    if (goes) pending = requestAnimationFrame(frame);
    else shown();
  }

  function frame(time) {
    due += before ? Math.min((time - before) / 1000, 0.1) * chosen("speed") : 0;
    before = time;
    const until = performance.now() + BUDGET;
    while (due >= 1 && performance.now() < until) {
      step();
      due--;
    }
    due = Math.min(due, 1); // a slow computer skips the steps that it cannot do
    charts();
    if (history.length >= TIMED && time - timed > TIMED_EVERY) {
      measure();
      timed = time;
    }
    if (time - told > TOLD) {
      texts();
      told = time;
    }
    pending = requestAnimationFrame(frame);
  }

  function pressed(id, on) {
    element(id).setAttribute("aria-pressed", String(on));
  }

  function faults() {
    const own = settings.faults[chosen("channel")];
    for (const name of nbtSensors.FAULTS) pressed(`fault-${name}`, own.has(name));
    pressed("swapped", settings.swapped);
    pressed("loose", settings.loose);
    shown();
  }

  function toggle(set, name) {
    if (!set.delete(name)) set.add(name);
    faults();
  }

  function slider(id, name, say) {
    const tell = () => {
      settings[name] = chosen(id);
      put(`${id}-value`, say(settings[name]));
      element(id).setAttribute("aria-valuetext", say(settings[name]));
    };
    element(id).addEventListener("input", tell);
    tell();
  }

  // The readings since the start as float32 that another run can repeat, docs/guide/virtual-board.md.
  function save() {
    const lines = saved.map((reading) => [...reading].map((one) => (Number.isNaN(one) ? "" : one)).join(","));
    const text = [NAMES.map((name, one) => `${name}_${UNITS[one]}`).join(","), ...lines, ""].join("\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "board.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    if (saved.length < history.length) log(`Only the first ${count(SAVED)} readings were saved.`);
  }

  function again() {
    restart();
    costs();
    shown();
  }

  function connect() {
    const on = (id, event, act) => element(id).addEventListener(event, act);
    on("run", "click", () => run(!running));
    on("step", "click", () => { step(); shown(); });
    on("restart", "click", again);
    on("save", "click", save);
    on("channel", "change", faults);
    on("units", "change", again);
    on("ahead", "change", again);
    on("repair", "click", () => { repair(); faults(); });
    on("swapped", "click", () => { settings.swapped = !settings.swapped; faults(); });
    on("loose", "click", () => { settings.loose = !settings.loose; faults(); });
    for (const name of nbtSensors.FAULTS) {
      on(`fault-${name}`, "click", () => toggle(settings.faults[chosen("channel")], name));
    }
    slider("noise", "noise", (value) => `${Math.round(value * 100)} % of the usual swing`);
    slider("drift", "drift", (value) => `${value} times the usual`);
    slider("turn", "turn", (value) => `${value} samples a revolution`);
    addEventListener("resize", charts);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", charts);
  }

  async function begin() {
    const bytes = Uint8Array.from(atob(data.module), (one) => one.charCodeAt(0));
    kernel = await nbtKernel.load(bytes);
    repair();
    connect();
    again();
    faults();
    element("board").setAttribute("aria-busy", "false");
    run(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  document.addEventListener("DOMContentLoaded", () => begin().catch((error) => {
    element("verdict").textContent = `The board does not start: ${error.message}`;
    throw error;
  }));
  return {
    advance(steps) { advance(steps); shown(); },
    get kernel() { return kernel; },
    get history() { return history; },
    get readings() { return saved; },
    settings,
  };
})();
