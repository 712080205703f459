// Biome lints. The rules here are those that Biome does not have: promises that are not awaited, which needs types; timers
// whose delay may be too long for a timer; and patterns whose time grows faster than the text. The first two end a daemon,
// and with the third a remote cluster could stop it.
import redos from 'eslint-plugin-redos';
import tseslint from 'typescript-eslint';

/** Neither a number nor the name of a constant. */
const NO_CONSTANT = ':not(Literal):not(Identifier[name=/^[A-Z][A-Z0-9_]*$/])';

export default [
  { ignores: ['dist/', 'node_modules/', '.cache/', 'coverage/', '**/*.js'] },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
    },
  },
  {
    // A timer above 2^31-1 ms fires at once. A constant is seen to be below; anything else waits with a Clock, in parts.
    files: ['src/**/*.ts'],
    ignores: ['src/shared/time/clock.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: `CallExpression[callee.name=/^set(Timeout|Interval)$/] > .arguments:nth-child(2)${NO_CONSTANT}`,
          message: 'Give a timer a constant delay, or wait with Clock.sleep: a timer above 2^31-1 ms fires at once.',
        },
        {
          selector: `CallExpression[callee.object.name='AbortSignal'][callee.property.name='timeout'] > .arguments${NO_CONSTANT}`,
          message: 'Give AbortSignal.timeout a constant, or wait with Clock.sleep: a timer above 2^31-1 ms fires at once.',
        },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: ['timers', 'timers/promises', 'node:timers', 'node:timers/promises'].map((name) => ({
            name,
            importNames: ['setTimeout', 'setInterval', 'scheduler'],
            message: 'Wait with Clock.sleep.',
          })),
        },
      ],
    },
  },
  {
    // Not the tests: the texts that they match are their own.
    files: ['{src,demo,scripts,bench}/**/*.ts'],
    plugins: { redos },
    // A pattern that is not judged in time passes: the two that find certificates in PEM text, whose parts exclude each other.
    rules: { 'redos/no-vulnerable': ['error', { timeout: 5_000, cache: true }] },
  },
];
