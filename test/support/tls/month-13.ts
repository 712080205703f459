/** `pem`, one certificate, with the month 13 as one of its two times: OpenSSL reads it, and it is no time. */
export function withMonth13(pem: string, of: 'notBefore' | 'notAfter'): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
  // UTCTime: YYMMDDHHMMSSZ.
  const marker = Buffer.from([0x17, 0x0d]);
  const first = der.indexOf(marker);
  const at = of === 'notBefore' ? first : der.indexOf(marker, first + 1);
  der.write('13', at + 4, 'latin1');
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
