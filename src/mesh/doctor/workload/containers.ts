/** The containers of the Pods of clustermesh-apiserver. */
import { containersOf } from '../../access.ts';
import type { ObjectFact } from '../facts.ts';

export function hasContainer(workload: ObjectFact, name: string): boolean {
  return typeof workload !== 'string' && containersOf(workload).some((each) => each.name === name);
}
