// The page: what it asks of the server, and what its controls do.

import { COLORINGS, drawColumn, drawNeuron, drawPair, drawRaster, drawWiring, element, stageName, state, typeOf } from "./plots.js";

const latest = {}; // number of the last question of each kind: answers to older ones are dropped

// --- asking -----------------------------------------------------------------------------------------------------
async function ask(path, query = {}) {
  const reply = await fetch(`${path}?${new URLSearchParams(query)}`);
  const content = await reply.json();
  if (!reply.ok) throw new Error(content.error);
  return content;
}

/** Ask for what a plot shows, keep it in the state and draw it; a failure is written above the plots. */
async function update(kind, plot, path, query, draw) {
  const number = (latest[kind] = (latest[kind] || 0) + 1);
  element(plot).setAttribute("aria-busy", "true");
  try {
    const answer = await ask(path, query);
    if (number !== latest[kind]) return;
    element("failure").textContent = "";
    state[kind] = answer;
    await draw();
  } catch (error) {
    if (number === latest[kind]) element("failure").textContent = error.message;
  } finally {
    if (number === latest[kind]) element(plot).setAttribute("aria-busy", "false");
  }
}

const showNeuron = (id) => update("neuron", "tuning", "neuron", { id }, drawNeuron);
const showRaster = () =>
  update("raster", "raster", "raster", { network: element("raster-network").value }, drawRaster);
const showWiring = () =>
  update("matrix", "wiring", "wiring", { measure: element("measure").value, stage: element("stage").value }, drawWiring);
const showPair = () =>
  update("pair", "pair", "pair",
    { pre: element("pre").value, post: element("post").value, against: element("against").value }, drawPair);

// --- choices ----------------------------------------------------------------------------------------------------
function fill(id, options, chosen) {
  element(id).replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

function fillStages() {
  const measure = state.overview.measures.find((one) => one.name === element("measure").value);
  const kept = element("stage").value;
  fill("stage", measure.stages.map((stage) => [stage, stageName(stage)]), measure.stages.includes(kept) ? kept : measure.stages.includes("after") ? "after" : "before");
  element("stage-label").hidden = measure.stages.length < 2;
}

function fillChoices() {
  const { overview } = state, measured = overview.networks.length > 0;
  element("name").textContent = `${overview.kind} ${overview.name}`;
  document.title = `${overview.name} – twincortex explore`;
  element("description").textContent = overview.description;
  element("remarks").replaceChildren(...overview.remarks.map((text) => remark(text)), ...overview.missing.map((one) => remark(one.what, one.command)));
  const networks = overview.networks.map((network) => [network, stageName(network)]), last = overview.networks.at(-1);
  fill("color", Object.entries(COLORINGS).filter(([, look]) => measured || !look.measured).map(([name, look]) => [name, look.label]), "type");
  fill("color-network", networks, last);
  fill("raster-network", networks, last);
  fill("measure", overview.measures.map((one) => [one.name, one.label]), "orientation");
  fillStages();
  const known = overview.types.map((type) => [type.name, type.name]);
  const first = typeOf("L2/3_Exc") ? "L2/3_Exc" : known[0][0];
  fill("pre", known, first);
  fill("post", known, first);
  element("raster-section").hidden = !measured;
  element("against").querySelector("[value=response]").disabled = !measured;
  element("neuron-id").max = overview.n_neurons - 1;
  showColorNetwork();
}

function remark(text, command) {
  const item = document.createElement("li"), code = document.createElement("code");
  code.textContent = command || "";
  item.append(`${text} `, ...(command ? [code] : []));
  return item;
}

function showColorNetwork() {
  const measured = COLORINGS[element("color").value].measured;
  element("color-network-label").hidden = !measured || state.overview.networks.length < 2;
}

function choosePair(pre, post) {
  element("pre").value = pre;
  element("post").value = post;
  return Promise.all([showPair(), state.matrix && drawWiring()]);
}

function another() {
  const all = state.neurons, rows = all.id.filter((id, row) => all.type[row] === state.neuron.type && id !== state.neuron.id);
  if (rows.length) showNeuron(rows[Math.floor(Math.random() * rows.length)]);
}

function listen() {
  const on = (id, event, act) => element(id).addEventListener(event, act);
  on("color", "change", () => (showColorNetwork(), drawColumn()));
  on("color-network", "change", drawColumn);
  on("neuron-form", "submit", (event) => (event.preventDefault(), showNeuron(element("neuron-id").value)));
  on("another", "click", another);
  on("raster-network", "change", showRaster);
  on("measure", "change", () => (fillStages(), showWiring().then(() => state.pair && drawPair())));
  on("stage", "change", () => showWiring().then(() => state.pair && drawPair()));
  for (const id of ["pre", "post"]) on(id, "change", () => choosePair(element("pre").value, element("post").value));
  on("against", "change", showPair);
  const clicked = (id, act) => element(id).on("plotly_click", (event) => act(event.points[0]));
  clicked("column", (point) => point.customdata && showNeuron([point.customdata].flat()[0]));
  if (state.raster) clicked("raster", (point) => showNeuron(point.customdata));
  const names = state.overview.types.map((type) => type.name);
  if (state.matrix) clicked("wiring", (point) => choosePair(names[point.y], names[point.x]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

function redraw() {
  drawNeuron();
  if (state.matrix) drawWiring();
  if (state.pair) drawPair();
}

async function start() {
  state.overview = await ask("overview");
  fillChoices();
  await update("neurons", "column", "neurons", {}, drawColumn);
  const first = state.neurons.id[state.neurons.type.indexOf(state.overview.types.findIndex((type) => type.name === element("pre").value))];
  await Promise.all([showNeuron(first), state.overview.networks.length ? showRaster() : null, showWiring()]);
  await showPair();
  listen();
  document.body.dataset.ready = "true";
}

start().catch((error) => (element("failure").textContent = error.message));
