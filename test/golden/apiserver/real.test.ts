import { scenarioSuite } from './scenario-suite.ts';

scenarioSuite('real', 2);
