/**
 * What a mesh leaves behind in the process once it has stopped: timers, sockets, requests under way, warnings.
 *
 * All of them belong to the process and not to one test: to be used around tests that do not run at the same time.
 */
import { until } from '../../support/until.ts';

/** Kinds that come and go with what the test itself does, or belong to the runner. */
const OF_OTHERS = new Set(['PipeWrap', 'ProcessWrap', 'MessagePort', 'FSReqPromise', 'FSReqCallback', 'Immediate', 'CloseReq']);

export interface LeakCheck {
  /** Resolves when no more is active than at the beginning and nothing was warned of; rejects with what is left. */
  none(withinMs?: number): Promise<void>;
}

/** Looks what is active now, before what is to be checked begins. */
export function watchForLeaks(): LeakCheck {
  const before = active();
  const warnings: string[] = [];
  const onWarning = (warning: Error) => warnings.push(`${warning.name}: ${warning.message}`);
  process.on('warning', onWarning);
  return {
    none: async (withinMs = 5_000) => {
      try {
        const left = () => [...active()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
        await until('nothing is left behind', () => left().length === 0 && warnings.length === 0, {
          withinMs,
          status: () => ({ left: left(), before: [...before], warnings }),
        });
      } finally {
        process.off('warning', onWarning);
      }
    },
  };
}

function active(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (!OF_OTHERS.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}
