// One form field for each input of a signature, and what stands in it as JSON.

const LONG_TEXT = 40; // characters, from which a text gets room for more
const FLOATS = /^DT_(FLOAT|DOUBLE|HALF|BFLOAT16)$/;

// `isFile`: the input is an encoded picture. `examples`: values that it has had.
export function makeField(name, tensor, isFile, examples) {
  const sizes = (tensor.tensor_shape.dim ?? []).map((dim) => Number(dim.size));
  const row = sizes.slice(1); // the first axis holds the rows
  if (isFile || (tensor.dtype === "DT_STRING" && /bytes|jpeg|png/.test(name))) {
    return fileField(name);
  }
  if (tensor.dtype === "DT_STRING") return textField(name, row, examples);
  const channels = row.at(-1);
  if (row.length === 3 && (channels === 1 || channels === 3)) {
    return imageField(name, row, tensor);
  }
  if (row.every((size) => size === 1)) return numberField(name, tensor, row);
  return listField(name, tensor, row);
}

function shell(name, kind, control) {
  const label = document.createElement("label");
  label.className = "field";
  const title = document.createElement("span");
  const note = document.createElement("span");
  note.className = "kind";
  note.textContent = kind;
  title.append(name, note);
  label.append(title, control);
  return label;
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function nest(value, row) {
  return row.reduce((inner) => [inner], value);
}

function setter(control) {
  return (example) => { control.value = String([example].flat(Infinity)[0]); };
}

function numberField(name, tensor, row) {
  if (tensor.dtype === "DT_BOOL") {
    const control = element("select", { name });
    control.append(new Option("false"), new Option("true"));
    const value = () => nest(control.value === "true", row);
    return { label: shell(name, "yes or no", control), value, set: setter(control) };
  }
  const isFloat = FLOATS.test(tensor.dtype);
  const control = element("input", {
    name, type: "number", value: "0", step: isFloat ? "any" : "1", required: true,
  });
  const value = () => nest(Number(control.value), row);
  return { label: shell(name, isFloat ? "number" : "whole number", control), value, set: setter(control) };
}

function textField(name, row, examples) {
  const known = [...new Set(examples.flat(Infinity))].filter((one) => one).sort();
  const isShort = known.length > 0 && known.every((one) => one.length < LONG_TEXT);
  const control = isShort
    ? element("input", { name })
    : element("textarea", { name, rows: 1, placeholder: "Type a text" });
  const label = shell(name, "text", control);
  if (isShort) {
    const list = element("datalist", { id: `known-${name}` });
    list.append(...known.map((one) => new Option(one)));
    control.setAttribute("list", list.id);
    label.append(list);
  }
  return { label, value: () => nest(control.value, row), set: setter(control) };
}

function listField(name, tensor, row) {
  const sizes = row.map((size) => (size < 0 ? 1 : size));
  const fill = (depth) => depth === sizes.length
    ? 0 : Array.from({ length: sizes[depth] }, () => fill(depth + 1));
  const control = element("textarea", {
    name, rows: 1, className: "numbers", value: JSON.stringify(fill(0)), spellcheck: false,
  });
  const shape = row.map((size) => (size < 0 ? "any" : size)).join(" × ") || "any";
  const value = () => {
    try {
      return JSON.parse(control.value);
    } catch {
      throw new Error(`${name} must be a list of numbers, such as [0, 1].`);
    }
  };
  const set = (example) => { control.value = JSON.stringify(example); };
  return { label: shell(name, `${shape} numbers`, control), value, set };
}

// Shows the chosen file, and hands it to `use` as soon as it is there.
function dropZone(name, kind, use) {
  const zone = element("div", { className: "drop" });
  const hint = element("span", { textContent: "Drop an image, or click to choose one" });
  const picture = element("img", { alt: "The image that is sent", hidden: true });
  const input = element("input", { type: "file", name, accept: "image/*" });
  const take = async (file) => {
    if (!file) return;
    picture.src = URL.createObjectURL(file);
    picture.hidden = false;
    hint.textContent = file.name;
    await picture.decode();
    await use(file, picture);
  };
  input.addEventListener("change", () => take(input.files[0]));
  for (const kindOf of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(kindOf, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kindOf === "dragover");
      if (kindOf === "drop") take(event.dataTransfer.files[0]);
    });
  }
  zone.append(picture, hint, input);
  return shell(name, kind, zone);
}

function imageField(name, [rows, columns, channels], tensor) {
  const height = rows < 0 ? 224 : rows;
  const width = columns < 0 ? 224 : columns;
  let pixels = null;
  const label = dropZone(name, `${width} × ${height} pixels, 0 to 255`, (file, picture) => {
    const canvas = element("canvas", { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0, width, height);
    const data = context.getImageData(0, 0, width, height).data;
    pixels = Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => {
        const [red, green, blue] = data.slice((y * width + x) * 4);
        if (channels === 3) return [red, green, blue];
        return [Math.round(0.299 * red + 0.587 * green + 0.114 * blue)];
      }));
  });
  const value = () => {
    if (!pixels) throw new Error(`${name} needs an image.`);
    return pixels;
  };
  return { label, value };
}

function fileField(name) {
  let content = null;
  const label = dropZone(name, "image file", async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    content = { b64: btoa(text) };
  });
  const value = () => {
    if (!content) throw new Error(`${name} needs an image.`);
    return content;
  };
  return { label, value };
}
