// The page: what is asked for, in the form and in the address, and what is drawn.
"use strict";

(() => {
  const { escape, whole, size, field } = explorer.words;
  const root = document.getElementById("explorer");
  const form = root.querySelector("form");
  const status = root.querySelector(".ex-status");
  const totals = root.querySelector(".ex-totals tbody");
  const heads = root.querySelectorAll(".ex-totals thead th");
  const sides = root.querySelectorAll(".ex-side");
  const inputs = form.elements;
  // A height or width of null is that of the network's own image.
  const START = { net: "resnet50", with: "", height: null, width: null, batch: "1", dtype: "float32", layers: "" };
  const QUANTITIES = [
    ["Parameters", (cost) => cost.params, whole],
    ["Bytes of parameters", (cost) => cost.paramBytes, size],
    ["MACs", (cost) => cost.macs, whole],
    ["Activations", (cost) => cost.activations, whole],
    ["Peak memory of maps", (cost) => cost.memory, size],
  ];
  let state = { ...START };
  let turn = 0; // answers that come after a newer question are dropped

  const ownImage = (name) => explorer.networks.find(([known]) => known === name)?.[1];

  // The address

  function readAddress() {
    const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const known = Object.keys(START).filter((name) => asked[name] !== undefined);
    state = { ...START, ...Object.fromEntries(known.map((name) => [name, asked[name]])) };
    if (!Object.hasOwn(explorer.BYTES, state.dtype)) state.dtype = START.dtype;
  }

  // Is this the address of a heading on the page? It says nothing about networks, and stays as it is.
  const isHeading = () => location.hash.length > 1 && !location.hash.includes("=");

  function writeAddress(changed) {
    if (isHeading() && !changed) return;
    const told = Object.entries(state).filter(([name, value]) => name === "net" || value !== START[name]);
    history.replaceState(null, "", `#${new URLSearchParams(told)}`);
  }

  // The form

  function fillChoices() {
    const option = (name) => `<option>${escape(name)}</option>`;
    const own = explorer.own().map(option).join("");
    const book = explorer.networks.map(([name]) => option(name)).join("");
    const all = (own && `<optgroup label="Your own">${own}</optgroup>`) + book;
    inputs.net.innerHTML = all;
    inputs.with.innerHTML = `<option value="">none</option>${all}`;
  }

  function fillForm() {
    for (const name of ["net", "with", "height", "width", "batch", "dtype"]) inputs[name].value = state[name];
    inputs.layers.checked = Boolean(state.layers);
  }

  function readForm() {
    const chosen = inputs.net.value;
    const changed = chosen !== state.net;
    for (const name of ["net", "with", "height", "width", "batch", "dtype"]) state[name] = inputs[name].value;
    state.layers = inputs.layers.checked ? "1" : "";
    if (changed) state.height = state.width = null;
  }

  function wholeNumber(name) {
    const n = Number(state[name]);
    const { min, max, title } = inputs[name];
    if (!Number.isInteger(n) || n < Number(min) || n > Number(max)) {
      throw new explorer.Refusal(`${title}: need a whole number from ${min} to ${max}.`);
    }
    return n;
  }

  // What is drawn

  function cost(net) {
    try {
      const [height, width, batch] = ["height", "width", "batch"].map(wholeNumber);
      return { cost: explorer.trace(net, { height, width, batch, dtype: state.dtype }) };
    } catch (error) {
      return { refusal: error.message };
    }
  }

  function ratio(a, b) {
    return a ? `${(b / a).toLocaleString("en-US", { maximumSignificantDigits: 3 })}×` : "";
  }

  function drawTotals(found) {
    const [first, second] = found.map(({ answer }) => answer.cost);
    found.forEach(({ name }, i) => (heads[i + 1].textContent = name));
    for (const head of [heads[2], heads[3]]) head.hidden = !found[1];
    const line = (name, cells) => {
      const shown = found[1] ? cells : cells.slice(0, 1);
      return `<tr><th scope="row">${name}</th>${shown.map((c) => `<td>${c}</td>`).join("")}</tr>`;
    };
    const lines = QUANTITIES.map(([name, of, shown]) =>
      line(name, [
        first ? shown(of(first)) : "",
        second ? shown(of(second)) : "",
        first && second ? ratio(of(first), of(second)) : "",
      ]),
    );
    const sees = (cost) =>
      !cost ? "" : cost.receptiveField === null ? `not known after ${escape(cost.lostAt)}` : field(cost.receptiveField);
    totals.innerHTML = lines.join("") + line("Receptive field", [sees(first), sees(second), ""]);
  }

  async function draw(changed = false) {
    const mine = ++turn;
    state.net ||= START.net;
    const names = [state.net, state.with].filter(Boolean);
    const nets = await Promise.allSettled(names.map(explorer.load));
    if (mine !== turn) return;
    const [, height, width] = ownImage(state.net) ?? nets[0].value?.image ?? [3, 224, 224];
    state.height ??= String(height);
    state.width ??= String(width);
    fillForm();
    writeAddress(changed);
    const found = nets.map(({ value, reason }, i) => ({
      name: names[i],
      answer: value ? cost(value) : { refusal: reason.message },
    }));
    drawTotals(found);
    root.classList.toggle("ex-two", found.length === 2);
    sides.forEach((side, i) => {
      side.hidden = !found[i];
      if (found[i]) explorer.drawSide(side, found[i].name, found[i].answer, Boolean(state.layers));
      else side.replaceChildren();
    });
    const refused = found.filter(({ answer }) => answer.refusal).length;
    status.textContent = refused ? "" : found.map(({ name, answer }) => `${name}: ${whole(answer.cost.macs)} MACs.`).join(" ");
    root.dataset.drawn = String(mine);
  }

  // A reader's own network

  async function open(file) {
    try {
      state.net = explorer.addFile(await file.text());
      state.height = state.width = null;
      fillChoices();
      await draw(true);
    } catch (error) {
      status.textContent = error.message;
    }
  }

  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    root.classList.add("ex-over");
  });
  root.addEventListener("dragleave", () => root.classList.remove("ex-over"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("ex-over");
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });

  let waiting = 0;
  form.addEventListener("input", (event) => {
    if (event.target.type === "file") return;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      readForm();
      draw(true);
    }, event.target.type === "number" ? 200 : 0);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  inputs.file.addEventListener("change", () => inputs.file.files[0] && open(inputs.file.files[0]));
  addEventListener("hashchange", () => {
    if (isHeading()) return;
    readAddress();
    draw();
  });

  fillChoices();
  readAddress();
  draw();
})();
