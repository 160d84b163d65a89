"use strict";
// Updates of a live page: texts and figures follow the server's data. The server ignores everything
// that the page sends.
const nbtLive = (() => {
  const POLL = 50; // milliseconds
  let started = false;
  let end = null; // last position of the previous update

  // New rows: a view of the newest rows moves with them.
  function follow() {
    if (!started) return;
    const [full, shown, view, values] = nbtPage.parts();
    const x = full.data.x;
    if (!x.length) return;
    const [first, last] = [x[0], x[x.length - 1]];
    const at_end = end === null || view.end >= end || view.start < first;
    end = last;
    const newest = [x[Math.max(x.length - Number(document.body.dataset.points), 0)], last];
    if (newest[1] > newest[0]) {
      nbtPage.set(view, { tags: [newest] });
      const [whole] = nbtPage.named("whole").filter((model) => model.x_range);
      nbtPage.set(whole.x_range, { start: first, end: last });
      if (at_end) nbtPage.set(view, { start: newest[0], end: last });
    }
    nbtPage.overview(full);
    nbtPage.draw(full, shown, view, values);
  }

  // If two trees have the same elements, change only differing texts and attributes, to keep scroll
  // position, focus and selection.
  function change(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return undefined;
    }
    for (const { name, value } of fresh.attributes ?? []) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.childNodes.length !== fresh.childNodes.length) return old.replaceChildren(...fresh.childNodes);
    const pairs = [...old.childNodes].map((child, place) => [child, fresh.childNodes[place]]);
    for (const pair of pairs) change(...pair);
    return undefined;
  }

  // The server sends texts as HTML with escaped names.
  function tell(texts) {
    const { id, html } = texts.data;
    id.forEach((one, place) => {
      const element = document.getElementById(one);
      if (!element) return;
      const fresh = element.cloneNode(false);
      fresh.innerHTML = html[place];
      change(element, fresh);
    });
  }

  // The kind of axis is fixed when the page is built.
  function check(axis) {
    if (axis.data.kind[0] !== document.body.dataset.axis) location.reload();
  }

  function lost() {
    document.getElementById("connection").textContent =
      "The watch has ended, or cannot be reached. What is shown is what was known last; reload the page to try again.";
    document.body.dataset.connection = "lost";
  }

  function start() {
    const shown = window.Bokeh?.documents.at(-1);
    if (!shown?.roots().length || !document.querySelector("#forecast *")) return setTimeout(start, POLL);
    Bokeh.set_log_level("error");
    nbtPage.adopt(shown);
    shown.on_event("connection_lost", lost);
    tell(nbtPage.named("texts")[0]);
    nbtPage.begin(document);
    started = true;
    follow();
    document.getElementById("live").setAttribute("aria-busy", "false");
    return undefined;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const target = document.getElementById("shown-target");
    target?.addEventListener("change", () => target.form.submit());
    start();
  });
  return { check, follow, tell };
})();
