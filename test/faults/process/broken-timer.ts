/** Loaded before the program: a signal causes an uncaught error. */
process.on('SIGUSR2', () => {
  setTimeout(() => {
    throw new TypeError('a mistake that was planted');
  }, 1);
});
