/** Rows about modules of this checkout, inside the bench and without any etcd. */
import type { Row } from '../frame/row.ts';
import { runImportGuard, runImportPolicy } from './import-guard.ts';
import { runPublisherDelay } from './publisher-delay.ts';
import { runScrape } from './scrape.ts';
import { runStatus } from './status.ts';

export const INSIDE_ROWS: readonly Row[] = [
  {
    name: 'guard',
    measures: 'processor time that the import guard adds to each key of a listing, and memory of an address that is compared',
    ...{ isExtra: true, isInside: true, run: runImportGuard },
  },
  {
    name: 'policy',
    measures: 'processor time of each key of a listing under each kind of rule of an import policy',
    ...{ isExtra: true, isInside: true, run: runImportPolicy },
  },
  {
    name: 'delay',
    measures: 'how long a publisher of --keys keys blocks the event loop in each phase, with an etcd in memory',
    ...{ isExtra: true, isInside: true, run: runPublisherDelay },
  },
  {
    name: 'scrape',
    measures: 'processor time of a scrape of the series of 511 remote clusters, and how long it blocks the event loop',
    ...{ isExtra: true, isInside: true, run: runScrape },
  },
  {
    name: 'status',
    measures: 'one status request and one scrape with 511 remote clusters that are not connected',
    ...{ isExtra: true, isInside: true, run: runStatus },
  },
];
