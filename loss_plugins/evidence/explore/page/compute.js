// What each operation of a program gives, by torch's name. Comparisons give 1 or 0.
const COMPUTE = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b,
  neg: a => -a, reciprocal: a => 1 / a, abs: Math.abs, sign: a => (a > 0) - (a < 0), square: a => a * a,
  relu: a => (a > 0 || a !== a ? a : 0), maximum: (a, b) => Math.max(a, b), minimum: (a, b) => Math.min(a, b),
  where: (a, b, c) => (a ? b : c), masked_fill: (a, b, c) => (b ? c : a),
  eq: (a, b) => +(a === b), ne: (a, b) => +(a !== b), lt: (a, b) => +(a < b), le: (a, b) => +(a <= b),
  gt: (a, b) => +(a > b), ge: (a, b) => +(a >= b),
  logical_and: (a, b) => +(a !== 0 && b !== 0), logical_or: (a, b) => +(a !== 0 || b !== 0), logical_not: a => +(a === 0),
  bitwise_and: (a, b) => a & b, bitwise_or: (a, b) => a | b, bitwise_not: a => 1 - a,
  pow: Math.pow, sqrt: Math.sqrt, rsqrt: a => 1 / Math.sqrt(a),
  exp: Math.exp, exp2: a => Math.pow(2, a), expm1: Math.expm1,
  log: Math.log, log2: Math.log2, log10: Math.log10, log1p: Math.log1p,
  sin: Math.sin, cos: Math.cos, tan: Math.tan, asin: Math.asin, acos: Math.acos, atan: Math.atan, atan2: Math.atan2,
  sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh, sigmoid: a => 1 / (1 + Math.exp(-a)),
  floor: Math.floor, ceil: Math.ceil, isfinite: a => +Number.isFinite(a), isnan: a => +(a !== a),
};
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const COLUMNS = ["pred_0", "pred_1", "pred_2", "pred_3", "target_0", "target_1", "target_2", "target_3"];

// The operations that some results take, ready to run: loss, then its gradient by the four coordinates of pred.
class Program {
  constructor(nodes, operations, results) {
    const needed = new Set();
    const todo = [...results];
    while (todo.length) {
      const place = todo.pop();
      if (needed.has(place)) continue;
      needed.add(place);
      if (!"@#".includes(nodes[place][0])) todo.push(...nodes[place].slice(1).split(",").map(Number));
    }
    const order = [...needed].sort((a, b) => a - b);
    const at = new Map(order.map((place, i) => [place, i]));
    this.values = new Float64Array(order.length);
    this.columns = [];
    this.names = [];
    this.compute = [];
    this.places = []; // of the result and of three arguments, for each operation
    order.forEach((place, i) => {
      const kind = nodes[place][0], rest = nodes[place].slice(1);
      if (kind === "#") this.values[i] = Number(rest.replace("inf", "Infinity"));
      else if (kind === "@" && COLUMNS.includes(rest)) this.columns.push([i, COLUMNS.indexOf(rest)]);
      else if (kind === "@") this.names.push([i, rest]);
      else {
        const [a, b = 0, c = 0] = rest.split(",").map(each => at.get(Number(each)));
        this.compute.push(COMPUTE[operations[LETTERS.indexOf(kind)]]);
        this.places.push(i, a, b, c);
      }
    });
    this.results = results.map(place => at.get(place));
  }

  // row: pred and target, eight numbers; numbers: those of the loss, by name.
  run(row, numbers) {
    const v = this.values;
    for (const [i, column] of this.columns) v[i] = row[column];
    for (const [i, name] of this.names) v[i] = numbers[name];
    const { compute, places } = this;
    for (let k = 0, p = 0; k < compute.length; k++, p += 4) {
      v[places[p]] = compute[k](v[places[p + 1]], v[places[p + 2]], v[places[p + 3]]);
    }
    return this.results.map(i => v[i]);
  }
}
