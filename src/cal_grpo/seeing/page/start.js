const data = JSON.parse(document.getElementById("data").textContent);
document.querySelectorAll("figure").forEach((figure, index) => listen(figure, data.charts[index]));
buildRollouts();
// When the first picture was on the screen, in milliseconds since the page was asked for; benchmarks read it.
requestAnimationFrame(() => setTimeout(() => (document.documentElement.dataset.shown = Math.round(performance.now()))));
