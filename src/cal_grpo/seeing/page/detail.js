// One rollout: question, response with its advantages as colours, verdict.

function outcomeBadge(rollout) {
  const kind = ["right", "blamed", "wrong"].includes(rollout.outcome) ? rollout.outcome : "missed";
  const sign = { right: "✓", blamed: "✗", missed: "?", wrong: "✗" }[kind];
  return put(make("span", { className: "outcome " + kind }, sign + " "), rollout.outcome);
}

/** How much of a colour, in percent; the least advantage can still be told from none. */
function heat(share) {
  return Math.round(14 + 56 * Math.min(Math.abs(share), 1));
}

/** The response's pieces, coloured; those of the quote together in one element that carries the critique. */
function responseNode(rollout) {
  const node = make("pre", { className: "text response" });
  let quote = null;
  for (const [text, advantage, blamed, from, to] of rollout.pieces) {
    const piece = put(make("span"), text);
    if (advantage) {
      piece.className = advantage > 0 ? "up" : "down";
      piece.style.setProperty("--heat", heat(advantage / data.scale));
    }
    if (advantage !== null && from !== null) piece.title = `tokens ${from} to ${to - 1}, advantage ${signed(advantage)}`;
    if (!blamed) quote = null;
    else if (quote === null) {
      quote = make("mark", { className: "quote", tabIndex: 0 });
      node.append(quote);
    }
    (quote ?? node).append(piece);
  }
  const critique = rollout.verdict && rollout.verdict.critique;
  const marked = node.querySelector(".quote");
  if (marked && critique) marked.append(put(make("span", { className: "tip", role: "note" }), critique));
  if (rollout.cut) node.append(make("span", { className: "soft" }, `… ${rollout.cut.toLocaleString("en")} more characters`));
  return node;
}

/** The solution that the response is held against. */
function referenceNodes(rollout) {
  const reference = data.references[rollout.reference];
  if (!reference) return [];
  return [make("div", {}, make("h3", {}, "Reference solution"), put(make("pre", { className: "text response" }), reference))];
}

function scaleNode() {
  const node = make("p", { className: "scale" }, `advantage ${signed(-data.scale)}`);
  for (const share of [-1, -0.5, -0.1, 0, 0.1, 0.5, 1]) {
    const step = make("i", { className: share > 0 ? "up" : share < 0 ? "down" : "" });
    step.style.setProperty("--heat", heat(share));
    node.append(step);
  }
  node.append(signed(data.scale));
  return node;
}

function verdictNodes(rollout) {
  const verdict = rollout.verdict;
  if (!verdict) return [make("p", { className: "soft" }, rollout.correct ? "A right answer is not judged." : "No oracle was asked.")];
  const nodes = [make("p", {}, make("strong", {}, put(make("span"), verdict.tag)))];
  if (verdict.confidence !== null) nodes[0].append(`, confidence ${number(verdict.confidence)}`);
  if (rollout.span) {
    const [from, to, method, score] = rollout.span;
    put(nodes[0], `; tokens ${from} to ${to - 1} of ${rollout.tokens}, found by ${method} match`);
    if (score !== null && score < 1) nodes[0].append(` at similarity ${number(score)}`);
  } else if (verdict.missed) nodes[0].append(put(make("span", { className: "note" }), `; no span: ${verdict.missed}`));
  if (verdict.critique) nodes.push(put(make("p", { className: "text" }), verdict.critique));
  if (verdict.segment) nodes.push(make("h3", {}, "Quote"), put(make("pre", { className: "text response" }), verdict.segment));
  if (verdict.correction) {
    nodes.push(make("h3", {}, "Correction, from the step of the quote on"));
    if (verdict.copied) nodes.push(make("p", { className: "note" }, "These are the reference's own words."));
    nodes.push(put(make("pre", { className: "text response" }), verdict.correction));
  }
  return nodes;
}

function gradeNode(rollout) {
  const grade = rollout.correct ? "right" : "wrong";
  const node = make("p", {}, outcomeBadge({ outcome: grade }), ": answer ");
  put(node, rollout.extracted ?? "none");
  node.append(", expected ");
  put(node, rollout.expected ?? "none");
  node.append(`, reward ${number(rollout.reward)}, ${rollout.tokens} tokens`);
  return node;
}

/** Every other answer to the same question that the page holds, of whatever run and step. */
function othersNode(index, open) {
  const same = data.rollouts.flatMap((r, i) => (r.question === data.rollouts[index].question && i !== index ? [i] : []));
  const node = make("div", { className: "others" });
  for (const i of same.slice(0, 60)) {
    const r = data.rollouts[i];
    const label = (data.runs.length > 1 ? brief(data.runs[r.run], 24) + " " : "") + `${r.step}.${r.row} `;
    const button = put(make("button", { type: "button", onclick: () => open(i) }), label);
    button.append(outcomeBadge(r));
    node.append(button);
  }
  if (same.length > 60) node.append(`and ${same.length - 60} more`);
  return same.length ? [make("h3", {}, "Other answers to this question"), node] : [];
}

function detailNodes(index, open) {
  const rollout = data.rollouts[index];
  return [
    make("h3", {}, "Question"),
    put(make("p", { className: "text" }), data.questions[rollout.question]),
    make("div", { className: "beside" },
      make("div", {}, make("h3", {}, "Response"), responseNode(rollout)),
      ...referenceNodes(rollout)),
    scaleNode(),
    ...(rollout.span ? [make("p", { className: "soft" }, "Underlined: the oracle's quote; point at it for the critique.")] : []),
    make("h3", {}, "Grade"),
    gradeNode(rollout),
    make("h3", {}, "Verdict"),
    ...verdictNodes(rollout),
    ...othersNode(index, open),
  ];
}
