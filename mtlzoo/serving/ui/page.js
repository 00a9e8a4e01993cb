// Builds a form from a model's signature, and shows what the model answers.

import { makeField } from "/ui/fields.js";

const MOST_CLASSES = 8;
const $ = (id) => document.getElementById(id);
let signatures = {};
let recorded = { rows: [], classes: {} };
let fields = {};
let shown = 0; // which of the recorded rows the form holds

// TensorFlow Serving writes numbers that JSON hasn't got.
const parse = (text) =>
  JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g,
    (found) => (found[0] === '"' ? found : `"${found}"`)));

async function ask(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server can't be reached. Is it still running?");
  }
  const answer = parse(await response.text());
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const modelPath = () => `/v1/models/${encodeURIComponent($("model").value)}`;

async function chooseModel() {
  const found = await ask(`${modelPath()}/metadata`);
  signatures = found.metadata.signature_def.signature_def;
  recorded = await ask(`/ui/models/${encodeURIComponent($("model").value)}`);
  $("version").textContent = `version ${found.model_spec.version}`;
  const usable = Object.keys(signatures).sort().filter((name) => {
    const { method_name: method, inputs } = signatures[name];
    return method === "tensorflow/serving/predict"
      && !(inputs.inputs?.dtype === "DT_STRING" && name === "examples");
  });
  // A picture as the file it is: the model decodes, resizes and scales it itself.
  const first = ["serving_bytes", "serving_default", usable[0]].find((name) =>
    usable.includes(name));
  $("signature").replaceChildren(...usable.map((name) => new Option(name, name)));
  $("signature").value = first;
  chooseSignature();
}

function chooseSignature() {
  const { inputs } = signatures[$("signature").value];
  fields = {};
  for (const name of Object.keys(inputs).sort()) {
    const plain = signatures.serving_default?.inputs[name];
    const isFile = inputs[name].dtype === "DT_STRING" && plain && plain.dtype !== "DT_STRING";
    fields[name] = makeField(name, inputs[name], isFile, recorded.rows.map((row) => row[name]));
  }
  $("another").hidden = recorded.rows.length < 2;
  showRow(0);
  $("fields").replaceChildren(...Object.values(fields).map((field) => field.label));
  $("answers").innerHTML = '<p class="hint">Fill in the input, then predict.</p>';
  $("latency").textContent = "";
  $("error").hidden = true;
}

function showRow(index) {
  shown = index;
  for (const [name, field] of Object.entries(fields)) {
    const value = recorded.rows[shown]?.[name] ?? null;
    if (value !== null) field.set?.(value);
  }
}

async function predict(event) {
  event.preventDefault();
  $("error").hidden = true;
  $("predict").disabled = true;
  try {
    const signature = $("signature").value;
    const inputs = Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [name, [field.value()]]));
    const started = performance.now();
    const answer = await ask(`${modelPath()}:predict`, { signature_name: signature, inputs });
    $("latency").textContent = `${(performance.now() - started).toFixed(1)} ms`;
    show(answer.outputs, Object.keys(signatures[signature].outputs));
    if (matchMedia("(max-width: 40rem)").matches) $("latency").scrollIntoView();
  } catch (error) {
    $("error").textContent = error.message;
    $("error").hidden = false;
  } finally {
    $("predict").disabled = false;
  }
}

function show(outputs, names) {
  const byTask = names.length === 1 ? { [names[0]]: outputs } : outputs;
  $("answers").replaceChildren(...names.sort().map((name) => {
    const task = document.createElement("div");
    task.className = "task";
    const title = document.createElement("h3");
    title.textContent = name;
    task.append(title, ...view(name, Array.isArray(byTask[name]) ? byTask[name][0] : byTask[name]));
    return task;
  }));
}

// A share for each class, a share, or a value: what the signatures say, or else what the
// numbers look like.
function view(task, answer) {
  const values = Array.isArray(answer) ? answer : [answer];
  const shares = !(`regress_${task}` in signatures)
    && values.every((one) => typeof one === "number" && one >= 0 && one <= 1);
  if (shares && values.length > 0) {
    const names = recorded.classes[task];
    const ranked = values.map((share, index) => [share, index]);
    if (values.length > 1) ranked.sort((one, other) => other[0] - one[0]);
    const rows = ranked.slice(0, MOST_CLASSES).map(([share, index]) =>
      bar(values.length > 1 ? names?.[index] ?? String(index) : "", share, names));
    if (ranked.length > MOST_CLASSES) {
      rows.push(hint(`and ${ranked.length - MOST_CLASSES} more`));
    }
    return rows;
  }
  const value = document.createElement("output");
  value.className = "value";
  const flat = values.flat(Infinity);
  value.textContent = flat.slice(0, 16).map(short).join(", ");
  return flat.length > 16 ? [value, hint(`and ${flat.length - 16} more`)] : [value];
}

function bar(label, share, isNamed) {
  const row = document.createElement("div");
  row.className = !label ? "row single" : isNamed ? "row named" : "row";
  const name = document.createElement("span");
  name.textContent = label;
  name.hidden = !label;
  const track = document.createElement("div");
  track.className = "bar";
  const filled = document.createElement("i");
  filled.style.width = `${100 * share}%`;
  track.append(filled);
  const value = document.createElement("output");
  value.textContent = `${(100 * share).toFixed(1)}%`;
  row.append(name, track, value);
  return row;
}

function hint(text) {
  const found = document.createElement("p");
  found.className = "hint";
  found.textContent = text;
  return found;
}

function short(value) {
  if (typeof value === "number") return Number(value.toPrecision(5)).toString();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

async function guarded(action) {
  try {
    await action();
  } catch (error) {
    $("error").textContent = error.message;
    $("error").hidden = false;
  }
}

$("model").addEventListener("change", () => guarded(chooseModel));
$("signature").addEventListener("change", chooseSignature);
$("form").addEventListener("submit", predict);
$("another").addEventListener("click", () => showRow((shown + 1) % recorded.rows.length));
guarded(async () => {
  const models = await ask("/ui/models");
  $("model").replaceChildren(...models.map((name) => new Option(name, name)));
  await chooseModel();
});
