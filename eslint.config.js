// Biome lints. These two rules are here because they need types, and because each finds the kind of
// mistake that ends a daemon: a promise that nobody awaits.
import tseslint from 'typescript-eslint';

export default [
  { ignores: ['dist/', 'node_modules/', '.cache/', 'coverage/', '**/proto/', '**/*.js'] },
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
];
