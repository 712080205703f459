/** SPDX 2.3 documents: what a product consists of, as tools read it. */
import { createHash } from 'node:crypto';

export interface Component {
  readonly name: string;
  readonly version: string;
  /** `pkg:…`: finds the component in a database of vulnerabilities. */
  readonly purl: string;
  /** An SPDX expression. Absent: not known. */
  readonly license?: string;
  readonly comment?: string;
  /** A file of the product that is this component. */
  readonly file?: { readonly path: string; readonly content: Uint8Array };
  readonly contains?: readonly Component[];
}

export interface DocumentOptions {
  readonly product: Component;
  readonly created: Date;
}

const UNKNOWN = 'NOASSERTION';

/** A text that is nothing but an expression. */
const MARK = 'SPDX-License-Identifier: ';

/** The text of a document in JSON. The same product and time give the same text. */
export function spdxDocument({ product, created }: DocumentOptions): string {
  const packages: Record<string, unknown>[] = [];
  const relationships = [relationship('SPDXRef-DOCUMENT', 'DESCRIBES', identifier(product))];
  const add = (component: Component) => {
    packages.push(packageOf(component));
    for (const part of component.contains ?? []) {
      relationships.push(relationship(identifier(component), 'CONTAINS', identifier(part)));
      add(part);
    }
  };
  add(product);
  const content = { packages, relationships };
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${product.name}-${product.version}`,
    // A name, not an address: it has to be another one for another content.
    documentNamespace: `https://spdx.org/spdxdocs/${product.name}-${digest}`,
    creationInfo: {
      created: created.toISOString().replace(/\.\d+Z$/, 'Z'),
      creators: [`Tool: ${product.name}/scripts/container/spdx.ts`],
    },
    ...content,
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/** The SPDX identifier of a licence by its text; undefined where the text is none of the usual ones. */
export function licenseOfText(text: string): string | undefined {
  const words = text.replace(/\s+/g, ' ');
  if (words.startsWith(MARK)) return words.slice(MARK.length).trim();
  if (/Apache License,? Version 2\.0/i.test(words)) return 'Apache-2.0';
  if (/Mozilla Public License,? version 2\.0/i.test(words)) return 'MPL-2.0';
  if (/Permission is hereby granted, free of charge/i.test(words)) return 'MIT';
  if (/Permission to use, copy, modify, and\/?(?:or)? distribute/i.test(words)) return 'ISC';
  if (!/Redistribution and use in source and binary forms/i.test(words)) return undefined;
  return /Neither the name/i.test(words) ? 'BSD-3-Clause' : 'BSD-2-Clause';
}

function packageOf(component: Component): Record<string, unknown> {
  const { name, version, purl, license = UNKNOWN, comment, file } = component;
  return {
    SPDXID: identifier(component),
    name,
    versionInfo: version,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: license,
    copyrightText: UNKNOWN,
    ...(comment === undefined ? {} : { comment }),
    ...(file === undefined
      ? {}
      : {
          packageFileName: file.path,
          checksums: [{ algorithm: 'SHA256', checksumValue: createHash('sha256').update(file.content).digest('hex') }],
        }),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

function relationship(spdxElementId: string, relationshipType: string, relatedSpdxElement: string) {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

/** By the purl, which no two components share. */
function identifier({ name, purl }: Component): string {
  const digest = createHash('sha256').update(purl).digest('hex').slice(0, 12);
  return `SPDXRef-${name.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^-|-$/g, '')}-${digest}`;
}
