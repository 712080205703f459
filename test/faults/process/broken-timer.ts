/** Loaded before the program: a signal makes something fail that nobody waits for. */
process.on('SIGUSR2', () => {
  setTimeout(() => {
    throw new TypeError('a mistake that was planted');
  }, 1);
});
