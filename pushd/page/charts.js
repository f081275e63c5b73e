// Small charts as SVG: no axes, what matters stands in the caption.

const SPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 40;

function element(name, attributes) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function picture(label, width, shapes) {
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", label);
  svg.append(...shapes);
  return svg;
}

// Bars from `below` upwards, one for each value, as one path.
function bars(values, below, most) {
  const scale = (value) => HEIGHT - (value / most) * (HEIGHT - 1);
  return values
    .map((value, x) => (value ? `M${x} ${scale(below[x])}V${scale(below[x] + value)}h.85V${scale(below[x])}z` : ""))
    .join("");
}

export function throughput(label, delivered, failed) {
  const most = Math.max(1, ...delivered.map((value, x) => value + failed[x]));
  const nothing = delivered.map(() => 0);
  return picture(label, delivered.length, [
    element("path", { class: "bar-good", d: bars(delivered, nothing, most) }),
    element("path", { class: "bar-bad", d: bars(failed, delivered, most) }),
  ]);
}

export function latency(label, mean, worst) {
  const most = Math.max(1, ...worst.map((value) => value ?? 0));
  const y = (value) => HEIGHT - 1 - (value / most) * (HEIGHT - 3);
  let line = "";
  let apart = true; // whether the line has to begin anew after a slot without attempts
  mean.forEach((value, x) => {
    if (value !== null) line += `${apart ? "M" : "L"}${x} ${y(value)}h.85`;
    apart = value === null;
  });
  return picture(label, mean.length, [
    element("path", { class: "worst", d: bars(worst.map((value) => value ?? 0), worst.map(() => 0), most) }),
    element("path", { class: "mean", d: line }),
  ]);
}
