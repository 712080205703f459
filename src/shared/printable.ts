/** Text of somebody else's making, as a terminal may be given it. */

/** `text` on one line, without what a terminal would act upon, and of bounded length. */
export function printable(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  // Controls, and the characters that reverse or hide what stands next to them.
  return cut.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
