// One network on the page: its charts and its table, which scroll together.
"use strict";

(() => {
  const { escape, whole, shape, size, sees, field, csv } = explorer.words;
  const largestField = (row) => (row.pixels ? Math.max(...row.pixels) : 0);
  const CHARTS = [
    { title: "Parameters", of: (row) => row.params, shown: whole },
    { title: "MACs", of: (row) => row.macs, shown: whole },
    { title: "Maps alive", of: (row) => row.live, shown: size },
    { title: "Receptive field", of: largestField, shown: (n) => `${whole(n)} pixels` },
  ];
  const COLUMNS = ["layer", "kind", "output", "params", "MACs", "memory", "alive", "sees"];
  const HEIGHT = 40;

  function chart({ title, of, shown }, rows) {
    const values = rows.map(of);
    const most = Math.max(...values, 0);
    const at = values.indexOf(most);
    const says = most ? `${title}: at most ${shown(most)}, in ${rows[at].name}` : `${title}: none`;
    const steps = values.map((n, i) => {
      const y = (HEIGHT - (most ? (n / most) * (HEIGHT - 2) : 0)).toFixed(2);
      return `V${y}H${i + 1}`;
    });
    return (
      `<figure class="ex-chart"><figcaption><b>${title}</b> <span>${most ? shown(most) : "none"}</span></figcaption>` +
      `<svg viewBox="0 0 ${rows.length} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${escape(says)}">` +
      `<rect class="ex-window" y="0" height="${HEIGHT}" width="0"/>` +
      `<path d="M0 ${HEIGHT}${steps.join("")}V${HEIGHT}Z"/></svg></figure>`
    );
  }

  function line(row, most) {
    const bar = (quantity, text) => {
      const share = most[quantity] ? (100 * row[quantity]) / most[quantity] : 0;
      return `<td class="ex-bar" style="--share:${share.toFixed(1)}%">${text}</td>`;
    };
    const seen = field(sees(row.pixels));
    return (
      `<tr><th scope="row">${escape(row.name)}</th><td>${escape(row.kind)}</td><td>${shape(row.out)}</td>` +
      bar("params", whole(row.params)) +
      bar("macs", whole(row.macs)) +
      bar("memory", row.memory ? size(row.memory) : "") +
      bar("live", size(row.live)) +
      `<td class="ex-number">${seen}</td></tr>`
    );
  }

  function table(rows, name) {
    const most = {};
    for (const quantity of ["params", "macs", "memory", "live"]) {
      most[quantity] = Math.max(...rows.map((row) => row[quantity]), 0);
    }
    const head = COLUMNS.map((column, i) => `<th scope="col"${i > 2 ? ' class="ex-number"' : ""}>${column}</th>`);
    return (
      `<div class="cnn-scroll ex-table" tabindex="0" role="region" aria-label="Layers of ${escape(name)}">` +
      `<table class="cnn-table"><thead><tr>${head.join("")}</tr></thead>` +
      `<tbody>${rows.map((row) => line(row, most)).join("")}</tbody></table></div>`
    );
  }

  // The part of the charts that the table shows, and the table at the place of a chart that is pressed.
  function tie(element) {
    const box = element.querySelector(".ex-table");
    const charts = [...element.querySelectorAll("svg")];
    const lines = box.querySelectorAll("tbody tr").length;
    const head = box.querySelector("thead");
    const mark = () => {
      if (!box.isConnected) return sizes.disconnect(); // another network stands there now
      const visible = box.clientHeight - head.offsetHeight;
      const whole = box.scrollHeight - head.offsetHeight;
      for (const svg of charts) {
        const view = svg.querySelector(".ex-window");
        view.setAttribute("x", (lines * box.scrollTop) / whole);
        view.setAttribute("width", lines * Math.min(1, visible / whole));
      }
    };
    box.addEventListener("scroll", mark, { passive: true });
    const sizes = new ResizeObserver(mark);
    sizes.observe(box);
    for (const svg of charts) {
      const go = (event) => {
        const place = svg.getBoundingClientRect();
        const share = (event.clientX - place.left) / place.width;
        box.scrollTop = share * (box.scrollHeight - head.offsetHeight) - box.clientHeight / 2;
      };
      svg.addEventListener("pointerdown", (event) => {
        svg.setPointerCapture(event.pointerId);
        go(event);
      });
      svg.addEventListener("pointermove", (event) => event.buttons && go(event));
    }
    mark();
  }

  function download(cost) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(cost)], { type: "text/csv" }));
    link.download = `${cost.name}_${shape(cost.image)}_batch${cost.batch}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Draws a cost, or the sentence that says why there is none.
  explorer.drawSide = (element, name, { cost, refusal }, layersOnly) => {
    if (!cost) {
      element.innerHTML = `<h2>${escape(name)}</h2><p class="ex-refusal" role="alert">${escape(refusal)}</p>`;
      return;
    }
    const rows = layersOnly ? cost.rows.filter((row) => row.layer) : cost.rows;
    const count = `${whole(rows.length)} ${layersOnly ? "convolutions and linear layers" : "rows"}`;
    element.innerHTML =
      `<h2>${escape(name)}</h2>` +
      `<p class="ex-caption">${count} on ${shape(cost.image)}, batch ${whole(cost.batch)}, ${cost.dtype} ` +
      `<button type="button">Download CSV</button></p>` +
      `<div class="ex-charts">${CHARTS.map((kind) => chart(kind, rows)).join("")}</div>` +
      table(rows, name);
    element.querySelector("button").addEventListener("click", () => download(cost));
    tie(element);
  };
})();
