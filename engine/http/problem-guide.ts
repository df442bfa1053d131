/** What each code means and what to do: the text of `/problems/<code>`. A code without is no build. */
import type { OutcomeName } from '../domain/outcome.ts';
import { CART_CELLS_MAX } from '../domain/script-limits.ts';
import type { TransportProblemCode } from './problem.ts';

export const PROBLEM_GUIDE: Readonly<Record<OutcomeName | TransportProblemCode, string>> = {
  fenced:
    'The lane that keeps the stock is being recovered and takes nothing until it is open again, ' +
    'usually within seconds. Nothing was changed. Send the same request after Retry-After.',
  overloaded:
    'More requests wait for the store than can be served in time, so this one was not sent to it. ' +
    'Nothing was changed. Send it again after Retry-After, with the reservation_id of this answer ' +
    'where there is one.',
  log_full:
    'PostgreSQL, or the Kafka that leads to it, is so far behind that nothing new is sold: what waits for ' +
    'it stands in Redis alone, and has a bound. Nothing was changed. Commits and releases of what is ' +
    'held go on (until twice the bound). Send the same request after Retry-After, with the ' +
    'reservation_id of this answer.',
  undecided:
    'The hold of this commit is gone, and its units could not be taken again in the time that a ' +
    'commit has for that (2 s from when it was read); or no engine ran for a day or more, and what was held then is ' +
    'about to expire. Nothing was changed. Send the same request again.',
  store_unavailable:
    'A store did not answer, or could not be seen to be the one in charge. The request may have ' +
    'been applied. Send the same request with the same id: it is applied once, however often it is sent.',
  durability_unknown:
    'The request was applied, but the durability level that was asked for was not confirmed in ' +
    'time. Send the same request with the same id, or look the reservation up: both wait for the level.',
  invalid_request:
    'The request breaks a rule that its schema or its headers state. `errors` says where (a JSON ' +
    'pointer into the body) and what is right. Nothing was changed. Mend the request.',
  durability_unavailable:
    'Prefer names a durability level that this deployment cannot give: `replicated` needs replicas, ' +
    '`fsync` a Redis that tells what is on its disk. The detail says what to set. Nothing was ' +
    'changed. Prefer another level, or none.',
  idempotency_key_required:
    'A release, cancel or ship of some lines may be repeated on purpose, so a retry can only be ' +
    'told from a second one by a key. Send an Idempotency-Key header: 1 to 255 printable ASCII characters.',
  ids_disagree:
    'A reservation is named by reservation_id or by Idempotency-Key. Both were sent, and they name ' +
    'two different reservations. Send only one of them.',
  id_expired:
    'Ids that Holdfast makes tell their age. This one is outside of the idempotency window (or was ' +
    'made elsewhere), so a retry could not be told from a new request. Look it up, or use a new id.',
  exists_with_different_payload:
    'The id or key was used before with another body. What was done under it stands. Use a new id ' +
    'for a new request; to retry, send the body as it was.',
  limit_exceeded:
    `The lines may be served from more warehouses than one cart may look at: ${CART_CELLS_MAX}, counted for each ` +
    'line. A line that names no warehouse looks at all where its SKU stands. Nothing was changed. Name warehouses, ' +
    'or send fewer lines in one cart.',
  unknown_sku: 'No product was defined under this SKU. Define it: PUT /api/v1/products/{sku_id}.',
  unknown_warehouse:
    'No warehouse was described under this id. Describe it: PUT /api/v1/warehouses/{warehouse_id}.',
  not_found:
    'Neither Redis nor PostgreSQL has such a reservation. A reserve that was refused leaves none.',
  out_of_range:
    'A balance would leave the range that a cell counts in, or the reservation has had more partial ' +
    'operations than it can remember (255). Nothing was changed.',
  hold_lost:
    'The hold is gone (it expired, or was lost in a failover), and its units are no longer there. ' +
    'Refund the payment, or offer the shopper to wait.',
  expired:
    'The deadline of the hold has passed and its units went back on sale. Reserve again under a new ' +
    'id; or commit with the lines, their warehouses and the hold_epoch, to take the units again if ' +
    'they are there.',
  already_released: 'The hold was released, and its units went back on sale. Reserve again.',
  already_committed:
    'The reservation is committed. If you were committing it with other lines: the first commit ' +
    'stands. If you were releasing it: cancel it instead.',
  already_closed: 'Every unit of the reservation was shipped or cancelled: nothing is left of it.',
  not_committed:
    'Only a committed reservation can be shipped or cancelled. Release a hold instead.',
  exceeds_reservation:
    'The lines name more units than the reservation has there. Look it up to see what it has. ' +
    'Nothing was changed.',
  extend_limit_reached:
    'A hold can be extended up to a maximum age, and this one has reached it. Commit it or let it go.',
  unreadable:
    'What stands in Redis for a cell or for the reservation was written over or is gone, so nothing ' +
    'can be said of it; all else goes on. Nothing was changed, and this is no final answer. The ' +
    'detail names it and the command by which an operator repairs it from PostgreSQL (holdfast ' +
    'reconcile --apply). Then the same request under the same id is decided.',
  insufficient:
    'Fewer units are available than were asked for. `lines` says what was asked for, what was there ' +
    'and what was missing. Nothing was changed, and the same request may succeed when units come back.',
  exists: 'The reservation exists; the answer shows it as it now is.',
  created: 'The units are reserved until expires_at.',
  committed: 'The units are allocated to the order.',
  released: 'The units are on sale again.',
  extended: 'The deadline was moved.',
  cancelled: 'The allocated units are on sale again.',
  shipped: 'The units have left the building.',
  applied: 'The operation was applied.',
  malformed_json:
    'The body is not JSON (RFC 8259). `position` says where it stops being JSON. Nothing was changed.',
  malformed_request: 'The request is not well-formed; the detail says where. Nothing was changed.',
  route_not_found: 'Nothing is served at this path. The paths stand in /openapi.json.',
  method_not_allowed:
    'The path does not take this method. The Allow header names those that it takes.',
  request_timeout: 'The request did not arrive in time. Nothing was done. Send it again, whole.',
  body_too_large:
    'The body is longer than this path takes. Nothing was changed. Send less at once.',
  url_too_long: 'The URL is longer than any that is served here.',
  unsupported_media_type: 'Send the body as application/json.',
  headers_too_large: 'Send fewer or shorter headers.',
  internal_error:
    'The server failed; its log has the cause under the request_id. The request may have been ' +
    'applied: send it again with the same id.',
  shutting_down: 'This server is shutting down. Nothing was done. Send the request again.',
};
