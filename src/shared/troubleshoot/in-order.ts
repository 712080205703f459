/** Works on at most `atOnce` items at a time, and yields the results in the order of the items. */
export async function* inOrder<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ readonly item: T; readonly result: R }> {
  const underWay: Promise<R>[] = [];
  for (const [index, item] of items.entries()) {
    for (let next = underWay.length; next < Math.min(items.length, index + atOnce); next += 1) {
      underWay.push(work(items[next] as T));
    }
    yield { item, result: (await underWay[index]) as R };
  }
}
