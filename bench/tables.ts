import { writeDocuments } from './report/write.ts';

// `npm run bench:tables` writes the tables and the bars anew from `results.json`, without measuring.
writeDocuments();
