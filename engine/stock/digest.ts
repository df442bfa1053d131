/**
 * Digests of what a request asked for, so that a repeat with another body is told from a retry.
 *
 * Two 32-bit lanes of multiply-xor with MurmurHash3's finish over both: the construction of cyrb53
 * (bryc, public domain), with all 64 bits kept. It guards a client against its own mistake, not
 * against an attacker: who forges a digest gets its own reservation back. SHA-256 costs two to nine
 * times as much on each reserve (engine/reservations/README.md).
 */

interface Lanes {
  readonly high: number;
  readonly low: number;
}

function mix(text: string): Lanes {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  const high = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  const low = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return { high, low };
}

/** 8 bytes. */
export function digest64(text: string): Buffer {
  const { high, low } = mix(text);
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeInt32BE(high, 0);
  bytes.writeInt32BE(low, 4);
  return bytes;
}

/** 32 bits, never 0, because 0 stands for "nothing was named". */
export function digest32(text: string): number {
  const { low } = mix(text);
  return low === 0 ? 1 : low >>> 0;
}
