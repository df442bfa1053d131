import { describe, expect, it } from 'vitest';
import { OUTCOMES } from '../../domain/outcome.ts';
import { TRANSPORT_PROBLEMS } from '../problem.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';
import { problemPages } from './reference.ts';

describe('problem pages', () => {
  it('say of every problem what it means, and of nothing else', () => {
    const refusals = Object.entries(OUTCOMES)
      .filter(([, { status }]) => status >= 300)
      .map(([code]) => code);
    const codes = problemPages().map(({ code }) => code);
    expect(codes).toEqual([...refusals, ...Object.keys(TRANSPORT_PROBLEMS)]);
    for (const page of problemPages()) expect(page.meaning.length).toBeGreaterThan(20);
  });

  it('have no code without a row', () => {
    const rows = [...Object.keys(OUTCOMES), ...Object.keys(TRANSPORT_PROBLEMS)];
    expect(Object.keys(PROBLEM_GUIDE).toSorted()).toEqual(rows.toSorted());
  });
});
