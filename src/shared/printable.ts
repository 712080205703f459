/** Makes untrusted text safe to print on a terminal. */

/** `text` on one line, without what a terminal would act upon, and of bounded length. */
export function printable(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  // Control characters, and characters that reverse or hide adjacent ones.
  return cut.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
