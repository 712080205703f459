/** The flags of the debugging commands. */
import { bool, text } from '../shared/flags/table.ts';

const hostFlag = { host: text('localhost:9889', 'Address of the status API of kvstoremesh', { shorthand: 'H' }) };

export const statusFlagTable = {
  ...hostFlag,
  output: text('', "Another form of output: json, yaml or jsonpath='{…}'", { shorthand: 'o' }),
  verbose: bool(false, 'Show the details of ready clusters too'),
};
