import { describe, expect, it } from 'vitest';
import { prepareProblem } from './answer.ts';
import { problem, TRANSPORT_PROBLEMS } from './problem.ts';

const ROW = TRANSPORT_PROBLEMS.body_too_large;

describe('problem', () => {
  it('has the members of RFC 9457 and ours, in reading order', () => {
    const details = {
      detail: 'Too much.',
      instance: '/requests/1',
      errors: [{ pointer: '/items/0', message: 'is too large' }],
      extensions: { limit_bytes: 5 },
    };
    expect(JSON.stringify(problem(ROW, details, 'id', 'https://docs.test'))).toBe(
      JSON.stringify({
        type: 'https://docs.test/problems/body_too_large',
        title: 'The body is too large',
        status: 413,
        code: 'body_too_large',
        detail: 'Too much.',
        instance: '/requests/1',
        request_id: 'id',
        retryable: false,
        errors: [{ pointer: '/items/0', message: 'is too large' }],
        limit_bytes: 5,
      }),
    );
  });

  it('leaves out what was not said', () => {
    expect(Object.keys(problem(ROW, {}, 'id', ''))).toEqual([
      'type',
      'title',
      'status',
      'code',
      'request_id',
      'retryable',
    ]);
  });

  it('lets no extension replace a standard member', () => {
    const extensions = { status: 200, request_id: 'other', code: 'fine' };
    expect(problem(ROW, { extensions }, 'id', '')).toMatchObject({
      status: 413,
      request_id: 'id',
      code: 'body_too_large',
    });
  });

  it('finds the place of the request id whatever the details say', () => {
    const details = {
      detail: '"request_id":"{request id}"',
      extensions: { request_id: 'x', other: { request_id: '{request id}' } },
    };
    const body = prepareProblem(ROW, details, { problemBaseUrl: 'b' }).bodyFor('the-id');
    expect(body).toBe(JSON.stringify(problem(ROW, details, 'the-id', 'b')));
  });

  it.each(Object.entries(TRANSPORT_PROBLEMS))('the row %s is sound', (code, row) => {
    expect(row.code).toBe(code);
    expect(row.code).toMatch(/^[a-z][a-z_]*$/);
    expect(row.status).toBeGreaterThanOrEqual(400);
    expect(row.status).toBeLessThan(600);
  });
});
