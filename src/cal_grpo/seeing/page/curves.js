// Reading numbers off a curve: the update under the pointer, and each run's value there.

function readable(value, unit) {
  if (unit === "share") return number(100 * value) + " %";
  return unit === "$" ? "$" + number(value) : `${number(value)} ${unit}`.trim();
}

function listen(figure, chart) {
  const svg = figure.querySelector("svg");
  const caption = figure.querySelector("figcaption");
  const { left, right, top, bottom, first, last } = chart;
  const cursor = document.createElementNS(svg.namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", top);
  cursor.setAttribute("y2", bottom);
  const hide = () => {
    cursor.remove();
    caption.textContent = "";
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const wanted = first + ((x - left) / (right - left)) * (last - first);
    const points = chart.series.flatMap((series) => series.points);
    const step = points.reduce((best, [at]) => (Math.abs(at - wanted) < Math.abs(best - wanted) ? at : best), Infinity);
    const place = last > first ? left + ((right - left) * (step - first)) / (last - first) : (left + right) / 2;
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    svg.append(cursor);
    const values = chart.series.flatMap(({ name, points: own }) => {
      const found = own.find(([at]) => at === step);
      return found ? [`${name} ${readable(found[1], chart.unit)}`] : [];
    });
    caption.textContent = `update ${step}: ${values.join(", ")}`;
  });
  svg.addEventListener("pointerleave", hide);
}
