// Text from a model is only ever a text node; nothing here reads it as HTML.

const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u; // what a reader cannot see, or what reorders what they see

/** An element: properties by name, children as nodes or text. */
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Append text to a node; a character that would not be seen is spelled out, such as U+202E. */
function put(node, text) {
  let plain = "";
  for (const character of text) {
    if (character === "\n" || character === "\t" || !hidden.test(character)) {
      plain += character;
      continue;
    }
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    node.append(plain, make("span", { className: "control", title: "a character that cannot be seen" }, "U+" + code));
    plain = "";
  }
  node.append(plain);
  return node;
}

/** The beginning of a text on one line. */
function brief(text, length) {
  const characters = Array.from(text.slice(0, 4 * length).replace(/\s+/g, " "));
  return characters.length > length ? characters.slice(0, length).join("") + "…" : characters.join("");
}

function number(value, digits = 3) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits)));
}

function signed(value) {
  return value > 0 ? "+" + number(value) : number(value);
}
