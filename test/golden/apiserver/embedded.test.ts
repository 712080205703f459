import { scenarioSuite } from './scenario-suite.ts';

scenarioSuite('embedded', 4);
