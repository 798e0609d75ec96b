// What the page draws: the state, and one function per plot. All numbers are computed by the server.

const STAGES = { before: "before training", after: "after training", change: "change" };
const QUANTITIES = {
  evoked_rate_Hz: "rate, gratings (Hz)",
  spontaneous_rate_Hz: "rate, gray (Hz)",
  preferred_direction_rate_Hz: "rate, best direction (Hz)",
  OSI: "OSI",
  DSI: "DSI",
};
export const COLORINGS = {
  type: { label: "cell type" },
  tuning_angle: { label: "assigned tuning angle", unit: "deg", cyclic: true },
  preferred_direction: { label: "preferred direction", unit: "deg", cyclic: true, measured: true },
  OSI: { label: "orientation selectivity (OSI)", short: "OSI", most: 1, measured: true },
  DSI: { label: "direction selectivity (DSI)", short: "DSI", most: 1, measured: true },
  evoked_rate_Hz: { label: "rate during gratings", unit: "Hz", measured: true },
  spontaneous_rate_Hz: { label: "rate during gray", unit: "Hz", measured: true },
};
const UNITS = { orientation: "b/c", direction: "a/c", response: "slope / mean", number: "n" };
const AROUND = ["#a7770c", "#c56033", "#d94360", "#dd26a3", "#c43be0", "#9961f4", "#5f7fe4", "#2890b7", "#0f9788",
  "#27994f", "#a7770c"].map((color, place) => [place / 10, color]);
const DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b",
  "#67001f"].map((color, place) => [place / 10, color]); // as the figures of the notebooks
const PLOT = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"] };
const SIGNIFICANT = 0.05;

export const state = { overview: null, neurons: null, neuron: null, raster: null, matrix: null, pair: null };
export const element = (id) => document.getElementById(id);

// --- words and looks --------------------------------------------------------------------------------------------
const number = (value) => value.toLocaleString("en-US");
const spell = (value, digits = 3) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits))));
const share = (values, level) => [...values].sort((a, b) => a - b)[Math.floor(level * (values.length - 1))];
const isRun = () => state.overview.stages.length > 1;
export const stageName = (stage) => (isRun() ? STAGES[stage] : "the circuit");
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const typeOf = (name) => state.overview.types.find((type) => type.name === name);

function axis(title, more = {}) {
  return { title: { text: title, standoff: 8 }, gridcolor: ink("line"), zerolinecolor: ink("line"), linecolor: ink("quiet"),
    automargin: true, ...more };
}

function layout(more) {
  return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 12, t: 24, b: 44 },
    font: { color: ink("ink"), size: 12, family: "system-ui, sans-serif" }, hoverlabel: { align: "left" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, ...more };
}

// --- the column in space ----------------------------------------------------------------------------------------
function ring(depth, radius) {
  const turns = Array.from({ length: 49 }, (_, step) => (step * Math.PI) / 24);
  return { type: "scatter3d", mode: "lines", hoverinfo: "skip", showlegend: false, line: { color: ink("quiet"), width: 1 },
    x: turns.map((angle) => radius * Math.cos(angle)), y: turns.map((angle) => radius * Math.sin(angle)),
    z: turns.map(() => depth) };
}

function cells(rows, options) {
  const all = state.neurons, take = (column) => rows.map((row) => column[row]);
  return { type: "scatter3d", mode: "markers", x: take(all.x), y: take(all.z), z: take(all.depth),
    customdata: rows.map((row) => [all.id[row], state.overview.types[all.type[row]].name]),
    hovertemplate: `neuron %{customdata[0]}<br>%{customdata[1]}${options.more || ""}<extra></extra>`, ...options.trace };
}

function coloredByType(size) {
  const rows = state.overview.types.map(() => []);
  state.neurons.type.forEach((type, row) => rows[type].push(row));
  return state.overview.types.map((type, place) => cells(rows[place], { trace: { name: type.name, marker: { size, color: type.color } } }));
}

function coloredByValue(name, size) {
  const look = COLORINGS[name], all = state.neurons;
  const values = look.measured ? all.measured[element("color-network").value][name] : all[name];
  const known = [], unknown = [];
  values.forEach((value, row) => (value === null ? unknown : known).push(row));
  const most = look.cyclic ? 360 : look.most || share(known.map((row) => values[row]), 0.98) || 1;
  const title = (look.short || look.label) + (look.unit ? ` (${look.unit})` : "");
  const colorbar = { title: { text: title, side: "right" }, thickness: 12, len: 0.8, outlinewidth: 0,
    ...(look.cyclic ? { tickvals: [0, 90, 180, 270, 360] } : {}) };
  const marker = { size, color: known.map((row) => values[row]), cmin: 0, cmax: most, colorbar,
    colorscale: look.cyclic ? AROUND : "Viridis" };
  const traces = [cells(known, { more: `<br>${title} %{marker.color:.3g}`, trace: { marker, showlegend: false } })];
  if (unknown.length)
    traces.unshift(cells(unknown, { more: "<br>no value", trace: { name: `no value (${number(unknown.length)})`,
      marker: { size: Math.max(1.5, size - 1), color: ink("before"), opacity: 0.35 } } }));
  return { traces, ends: look.cyclic || look.most ? "" : " Colors end at the 98th percentile." };
}

export function drawColumn() {
  const { neurons, overview } = state, name = element("color").value;
  const size = neurons.shown > 8000 ? 2 : neurons.shown > 2000 ? 2.5 : 4;
  const colored = name === "type" ? { traces: coloredByType(size), ends: "" } : coloredByValue(name, size);
  const deepest = Math.max(...neurons.depth) + 20, depths = [overview.layers[0].upper_um, ...overview.layers.map((layer) => layer.lower_um)];
  const names = { type: "scatter3d", mode: "text", hoverinfo: "skip", showlegend: false,
    x: overview.layers.map(() => -1.12 * overview.radius_um), y: overview.layers.map(() => -1.12 * overview.radius_um),
    z: overview.layers.map((layer) => (layer.upper_um + layer.lower_um) / 2), text: overview.layers.map((layer) => layer.name),
    textfont: { color: ink("ink"), size: 13 } };
  const traces = [...colored.traces, ...depths.map((depth) => ring(depth, overview.radius_um)), names];
  traces.push({ type: "scatter3d", mode: "markers", hoverinfo: "skip", showlegend: false, ...chosenPlace(),
    marker: { size: 11, symbol: "circle-open", color: ink("ink"), line: { width: 3 } } });
  const side = { showbackground: false, gridcolor: ink("line"), zerolinecolor: ink("line"), color: ink("ink"), showspikes: false };
  const wide = 2.4 * overview.radius_um, across = { range: [-wide / 2, wide / 2], nticks: 4, ...side };
  const longest = Math.max(1.4 * wide, deepest); // seen from the side, the corners of the floor lie farther apart
  const scene = { uirevision: "kept", aspectmode: "manual", aspectratio: { x: wide / longest, y: wide / longest, z: deepest / longest },
    camera: { eye: { x: 0.9, y: -0.9, z: 0.3 }, projection: { type: "orthographic" } },
    xaxis: { title: { text: "x (µm)" }, ...across }, yaxis: { title: { text: "z (µm)" }, ...across },
    zaxis: { title: { text: "depth (µm)" }, range: [deepest, 0], ...side } };
  const legend = { itemsizing: "constant", font: { size: 11 }, orientation: window.innerWidth < 640 ? "h" : "v" };
  const some = neurons.shown < neurons.total ? ", a random sample with at least 100 (or all) of each type" : "";
  element("column-note").textContent =
    `${number(neurons.shown)} of ${number(neurons.total)} neurons${some}. Click one; drag to turn.${colored.ends}`;
  return Plotly.react("column", traces, layout({ scene, legend, margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: "kept" }), PLOT);
}

function chosenPlace() {
  const cell = state.neuron;
  return cell ? { x: [cell.x], y: [cell.z], z: [cell.depth] } : { x: [], y: [], z: [] };
}

/** Move the mark of the chosen neuron without drawing the others again. */
function markNeuron() {
  const { x, y, z } = chosenPlace();
  const marked = [Plotly.restyle("column", { x: [x], y: [y], z: [z] }, [element("column").data.length - 1])];
  if (state.raster) marked.push(Plotly.relayout("raster", { shapes: rasterShapes() }));
  return Promise.all(marked);
}

// --- one neuron -------------------------------------------------------------------------------------------------
export async function drawNeuron() {
  const cell = state.neuron, type = state.overview.types[cell.type];
  element("neuron-id").value = cell.id;
  element("neuron-facts").textContent = `${type.name} (${cell.population}), neuron ${cell.id}, depth ${spell(cell.depth)} µm, ` +
    `x ${spell(cell.x)}, z ${spell(cell.z)} µm, assigned tuning angle ${spell(cell.tuning_angle)}°`;
  element("tuning").hidden = element("responses").hidden = !cell.tuning;
  await Promise.all([cell.tuning && drawTuning(cell, type), drawPartners(cell), markNeuron()]);
  if (cell.tuning) fillResponses(cell.tuning);
}

const stageColor = (stage, color) => (stage === "before" && isRun() ? ink("before") : color);

function drawTuning(cell, type) {
  const { direction, networks, n_trials } = cell.tuning, closed = (values) => [...values, values[0]];
  const traces = Object.entries(networks).flatMap(([network, one]) => {
    const color = stageColor(network, type.color), name = stageName(network);
    return [
      { x: [...direction, direction[0] + 360], y: closed(one.curve), mode: "lines+markers", name, line: { color }, legendgroup: name,
        error_y: { type: "data", array: closed(one.standard_error), color, thickness: 1, width: 2 },
        hovertemplate: "%{x}°: %{y:.3g} Hz<extra></extra>" },
      { x: [0, 360], y: [one.spontaneous_rate_Hz, one.spontaneous_rate_Hz], mode: "lines", legendgroup: name, showlegend: false,
        line: { color, dash: "dot", width: 1.2 }, hovertemplate: "gray: %{y:.3g} Hz<extra></extra>" },
    ];
  });
  element("neuron-note").textContent = `Means over ${n_trials} trials with standard errors; dotted: rate in gray; vertical line: ` +
    "assigned tuning angle. Recorded: median (10 to 90 %), units.";
  const assigned = { type: "line", xref: "x", yref: "paper", x0: cell.tuning_angle, x1: cell.tuning_angle, y0: 0, y1: 1,
    line: { color: ink("quiet"), width: 1 } };
  return Plotly.react("tuning", traces, layout({ shapes: [assigned], 
    xaxis: axis("direction of the grating (deg)", { range: [-8, 368], tickvals: [0, 90, 180, 270, 360] }),
    yaxis: axis("rate (Hz)", { rangemode: "tozero" }) }), PLOT);
}

function fillResponses(tuning) {
  const networks = Object.entries(tuning.networks), recorded = tuning.recorded;
  const heads = ["", ...networks.map(([network]) => (isRun() ? network : "here"))];
  if (recorded) heads.push(`recorded ${recorded.type}`);
  const rows = Object.entries(QUANTITIES).map(([name, label]) => {
    const row = [label, ...networks.map(([, one]) => spell(one[name]))];
    const of = recorded && recorded.quantities[name];
    if (of) row.push(`${spell(of.median, 2)} (${spell(of.low, 2)} to ${spell(of.high, 2)}), ${number(of.n)}`);
    return row;
  });
  fillTable("responses", heads, rows);
}

/** Fill a table; the first cell of every row is its heading. */
function fillTable(id, heads, rows) {
  const row = (texts, isHead) => {
    const line = document.createElement("tr");
    texts.forEach((text, place) => {
      const cell = document.createElement(isHead || !place ? "th" : "td");
      if (isHead || !place) cell.scope = isHead ? "col" : "row";
      cell.textContent = text;
      line.append(cell);
    });
    return line;
  };
  const head = document.createElement("thead"), body = document.createElement("tbody");
  head.append(row(heads, true));
  body.append(...rows.map((texts) => row(texts, false)));
  element(id).replaceChildren(head, body);
}

function drawPartners(cell) {
  const last = state.overview.stages.at(-1), outside = cell.incoming.filter((row) => !typeOf(row.partner));
  element("partners-note").textContent = "Sums of the weights of all recurrent connections of the neuron." + outside.map(
    (row) => ` From ${row.partner}: ${number(row.n)} connections, ${spell(row[last])} pA.`).join("");
  const names = state.overview.types.map((type) => type.name);
  const present = names.filter((name) => [...cell.incoming, ...cell.outgoing].some((row) => row.partner === name));
  const bars = (rows, stage, side) => {
    const of = Object.fromEntries(rows.map((row) => [row.partner, row]));
    const colors = present.map((name) => stageColor(stage, typeOf(name).color));
    return { type: "bar", x: present, y: present.map((name) => (of[name] ? of[name][stage] : null)), xaxis: "x", yaxis: side,
      marker: { color: colors }, customdata: present.map((name) => (of[name] ? of[name].n : 0)), showlegend: false,
      hovertemplate: `%{x}, ${stageName(stage)}: %{y:.4g} pA, n = %{customdata}<extra></extra>` };
  };
  const traces = state.overview.stages.flatMap((stage) => [bars(cell.incoming, stage, "y"), bars(cell.outgoing, stage, "y2")]);
  return Plotly.react("partners", traces, layout({ bargap: 0.25, barmode: "group",
    xaxis: axis("", { tickangle: -60, tickfont: { size: 10 }, anchor: "y2" }),
    yaxis: axis("onto it (pA)", { domain: [0.54, 1], nticks: 5 }), yaxis2: axis("from it (pA)", { domain: [0, 0.46], nticks: 5 }),
    margin: { l: 56, r: 12, t: 8, b: 60 } }), PLOT);
}

// --- spikes -----------------------------------------------------------------------------------------------------
export function drawRaster() {
  const { raster, overview } = state, spikes = overview.types.map(() => ({ x: [], y: [], id: [] }));
  raster.time.forEach((time, place) => {
    const row = raster.row[place], of = spikes[raster.row_type[row]];
    of.x.push(time), of.y.push(row), of.id.push(raster.rows[row]);
  });
  const traces = overview.types.map((type, place) => ({ type: "scattergl", mode: "markers", x: spikes[place].x, y: spikes[place].y,
    customdata: spikes[place].id, marker: { size: raster.shown > 600 ? 2 : 3, color: type.color }, showlegend: false,
    hovertemplate: `neuron %{customdata}, ${type.name}<br>%{x} ms<extra></extra>` }));
  const ticks = overview.types.map((type, place) => {
    const first = raster.row_type.indexOf(place), n = raster.row_type.filter((one) => one === place).length;
    return { at: first + n / 2, text: type.name, n };
  }).filter((tick) => tick.n > 0.022 * raster.shown);
  const [start, stop] = raster.windows_ms.evoked, settled = raster.windows_ms.spontaneous[0];
  const label = (at, text) => ({ x: at, y: 1, xref: "x", yref: "paper", text, showarrow: false, yanchor: "bottom", xanchor: "left" });
  element("raster-note").textContent = `First trial, direction ${raster.direction_deg}°; ${number(raster.shown)} of the ` +
    `${number(raster.total)} neurons of the core, sorted by cell type and tuning angle; shaded: grating. Click a spike to see its neuron.`;
  return Plotly.react("raster", traces, layout({ uirevision: raster.shown,
    xaxis: axis("time (ms)", { range: [0, stop], showgrid: false }),
    yaxis: axis("", { range: [raster.shown, -1], showgrid: false, zeroline: false, tickvals: ticks.map((tick) => tick.at), ticktext: ticks.map((tick) => tick.text) }),
    annotations: [label(settled, "gray"), label(start, "grating"), ...(settled > 0 ? [label(0, "not measured")] : [])],
    shapes: rasterShapes() }), PLOT);
}

/** The grating as a shade, the chosen neuron as a line. */
function rasterShapes() {
  const [start, stop] = state.raster.windows_ms.evoked, row = state.neuron ? state.raster.rows.indexOf(state.neuron.id) : -1;
  const shade = { type: "rect", xref: "x", yref: "paper", x0: start, x1: stop, y0: 0, y1: 1, fillcolor: ink("card"), line: { width: 0 }, layer: "below" };
  const mark = { type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: row, y1: row, line: { color: ink("ink"), width: 1 } };
  return row < 0 ? [shade] : [shade, mark];
}

// --- wiring -----------------------------------------------------------------------------------------------------
function measureUnit(measure, stage) {
  if (stage === "change") return { weight: "mean change (%)" }[measure] || `${UNITS[measure].split("/")[0]} / weight before`;
  return measure === "weight" ? "mean |weight| (pA)" : UNITS[measure];
}

function cellText(matrix, unit, pre, post) {
  const types = state.overview.types, at = (name) => matrix[name] && matrix[name][pre][post];
  const lines = [`${types[pre].name} → ${types[post].name}`];
  if (at("value") === null) lines.push(`fewer than ${matrix.min_connections} connections`);
  else {
    lines.push(`${unit} ${spell(at("value"))}` + (matrix.low ? ` (${spell(at("low"))} to ${spell(at("high"))})` : ""));
    if (matrix.q) lines.push(`false discovery rate ${spell(at("q"))}`);
    lines.push(`n = ${number(at("n"))}`);
  }
  return lines.join("<br>");
}

export function drawWiring() {
  const { matrix, overview } = state, measure = element("measure").value, stage = element("stage").value;
  const names = overview.types.map((type) => type.name), places = names.map((_, place) => place);
  const labels = overview.types.map((type) => `<span style="color:${type.color}">${type.name}</span>`);
  const found = matrix.value.flat().filter((value) => value !== null);
  const signed = matrix.q !== undefined || stage === "change";
  const limit = share(found.map(Math.abs), 0.95) || 1, unit = measureUnit(measure, stage);
  const map = { type: "heatmap", z: matrix.value, x: places, y: places, xgap: 1, ygap: 1, zmin: signed ? -limit : 0, zmax: limit,
    colorscale: signed ? DIVERGING : "Viridis", text: places.map((pre) => places.map((post) => cellText(matrix, unit, pre, post))),
    hovertemplate: "%{text}<extra></extra>", colorbar: { title: { text: unit, side: "right" }, thickness: 12, outlinewidth: 0 } };
  const dots = { mode: "markers", hoverinfo: "skip", showlegend: false, marker: { size: 3.5, color: "#000" }, x: [], y: [] };
  if (matrix.q) matrix.q.forEach((row, pre) => row.forEach((q, post) => {
    if (q !== null && q < SIGNIFICANT) dots.x.push(post), dots.y.push(pre);
  }));
  const pre = names.indexOf(element("pre").value), post = names.indexOf(element("post").value);
  const mark = { type: "rect", x0: post - 0.5, x1: post + 0.5, y0: pre - 0.5, y1: pre + 0.5, line: { color: ink("ink"), width: 2 } };
  const rule = matrix.q ? ` Dots: false discovery rate below ${SIGNIFICANT}. Positive (red): like to like.` : "";
  element("wiring-note").textContent = `${number(matrix.n_connections)} connections within ${overview.core_radius_um} µm of the axis.` +
    ` Empty: fewer than ${matrix.min_connections}. Colors end at the 95th percentile.${rule} Click a cell, or choose a pair.`;
  const ticks = { tickvals: places, ticktext: labels, tickfont: { size: 10.5 }, showgrid: false, zeroline: false };
  return Plotly.react("wiring", [map, dots], layout({ shapes: [mark], plot_bgcolor: ink("gap"), margin: { l: 66, r: 8, t: 8, b: 70 },
    xaxis: axis("postsynaptic", { ...ticks, tickangle: -90, range: [-0.5, names.length - 0.5] }),
    yaxis: axis("presynaptic", { ...ticks, range: [names.length - 0.5, -0.5] }) }), PLOT);
}

function fitted(fit, against) {
  if (against === "response") return fit.slope === undefined ? [[], []] : [[fit.low, fit.high], [fit.low, fit.high].map((r) => fit.slope * r + fit.intercept)];
  if (fit.a === null) return [[], []];
  const degrees = Array.from({ length: 91 }, (_, step) => 2 * step), cos = (angle) => Math.cos((angle * Math.PI) / 180);
  return [degrees, degrees.map((d) => fit.a * cos(d) + fit.b * cos(2 * d) + fit.c)];
}

function pairTraces(one, stage, type) {
  const color = stageColor(stage, type.color), [x, y] = fitted(one.fit, element("against").value);
  const bars = one.bins.standard_error && { type: "data", array: one.bins.standard_error, color, thickness: 1.2, width: 0 };
  return [
    { x, y, mode: "lines", line: { color, width: 2 }, showlegend: false, hoverinfo: "skip", legendgroup: stage },
    { x: one.bins.x, y: one.bins.mean, mode: "markers", marker: { color, size: 8, line: { color: ink("paper"), width: 1 } },
      error_y: bars, legendgroup: stage, name: stageName(stage), customdata: one.bins.n,
      hovertemplate: "mean %{y:.3g}, n = %{customdata}<extra></extra>" },
  ];
}

function fillEffects(stages) {
  const measures = Object.keys(stages[0][1].effects);
  const heads = ["", ...measures.map((measure) => `${measureUnit(measure, stages[0][0])} (95 %)`), "n"];
  const rows = stages.map(([stage, one]) => [stageName(stage), ...measures.map((measure) => {
    const { value, low, high } = one.effects[measure];
    return value === null ? "too few connections" : `${spell(value, 2)} (${spell(low, 2)} to ${spell(high, 2)})`;
  }), number(one.n)]);
  fillTable("effects", heads, rows);
}

export function drawPair() {
  const { pair } = state, against = element("against").value, type = typeOf(pair.pre);
  const wanted = element("stage").value === "change" && pair.stages.change ? ["change"] : ["before", "after"];
  const stages = wanted.filter((stage) => pair.stages[stage]).map((stage) => [stage, pair.stages[stage]]);
  const [last, drawn] = stages.at(-1), isChange = last === "change";
  const dots = { x: drawn.x, y: drawn.y, yaxis: "y2", mode: "markers", marker: { color: type.color, size: 3, opacity: 0.45 }, showlegend: false, hoverinfo: "skip" };
  const traces = [...stages.flatMap(([stage, one]) => pairTraces(one, stage, type)), dots];
  element("pair-facts").textContent = `${pair.pre} → ${pair.post}, n = ${number(pair.n)} connections`;
  fillEffects(stages);
  element("pair-note").textContent = (against === "direction"
    ? "Above: means with standard errors, and a cos d + b cos 2d + c. "
    : `Above: means, and least squares for correlations from -0.2 to 0.5. Intervals: postsynaptic neurons resampled. `) +
    `Below: ${number(drawn.x.length)} of ${number(drawn.n)} connections` + (isRun() && !isChange ? `, ${STAGES[last]}.` : ".");
  const x = against === "direction" ? axis("difference of assigned tuning angles (deg)", { range: [-4, 184], tickvals: [0, 45, 90, 135, 180] })
    : axis("correlation of the tuning curves", { range: [-1.05, 1.05] });
  const words = isChange ? ["mean change (%)", "change (%)"] : ["mean |weight| (pA)", "|weight| (pA)"];
  const span = isChange ? { range: [share(drawn.y, 0.01), share(drawn.y, 0.99)] } : { type: "log", dtick: 1 };
  return Plotly.react("pair", traces, layout({ xaxis: { ...x, anchor: "y2" }, yaxis: axis(words[0], { domain: [0.5, 1] }),
    yaxis2: axis(words[1], { domain: [0, 0.44], ...span }) }), PLOT);
}
