// Ways through latent space.

// From a to b: along the sphere for normal latents, as the program goes, else straight.
export function between(a, b, share, spherical) {
  let [fromA, fromB] = [1 - share, share];
  if (spherical) {
    const product = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
    const cosine = product(a, b) / Math.sqrt(product(a, a) * product(b, b) || 1);
    const angle = Math.acos(Math.max(-1, Math.min(1, cosine)));
    if (Math.sin(angle) >= 1e-3) {
      fromA = Math.sin((1 - share) * angle) / Math.sin(angle);
      fromB = Math.sin(share * angle) / Math.sin(angle);
    }
  }
  return a.map((value, i) => fromA * value + fromB * b[i]);
}

// A random walk: from point to random point, each drawn as the generator's latents are.
export function wander(start, facts) {
  let from = [...start];
  let to = drawn(facts);
  let share = 0;
  return {
    next(by) {
      share += by;
      while (share >= 1) {
        share -= 1;
        [from, to] = [to, drawn(facts)];
      }
      return between(from, to, share, facts.spherical);
    },
  };
}

function drawn({ dims, spherical, uniform, bound }) {
  return Array.from({ length: dims }, () => {
    if (uniform) return (2 * Math.random() - 1) * bound;
    let value;
    do value = normal();
    while (!spherical && Math.abs(value) > bound);
    return value;
  });
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
