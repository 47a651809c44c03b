"""Small programs in the languages other than Python, written to meet every rule of the published data-flow walk."""

JAVA = [
    """int sum(int[] values, int limit) {
    int total = 0;
    for (int i = 0, j = limit; i < values.length; i++) {
        if (values[i] > limit) { total += values[i]; } else if (values[i] < 0) { total = -total; } else continue;
        j--;
    }
    return total;
}""",
    """class Counter {
    private int count; // how many
    int step = 2, start;
    void add(java.util.List<String> names) {
        for (String name : names) { count = count + name.length(); this.count++; }
        while (count > 10) count -= step;
        do { step++; } while (step < 3);
    }
}""",
    """static String join(String[] parts, char by) {
    StringBuilder out = new StringBuilder();
    String sep = "";
    for (int k = 0; k < parts.length; ++k) {
        for (int m = k; m < 3; m++) { out.append(sep).append(parts[m]); sep = "" + by; }
    }
    if (out.length() == 0) return "empty /* not a comment */";
    return out.toString(); /* done */
}""",
    "int f(int a, int b) { int c; c = a; if (a > b) c = b; a = c = b; return c > 0 ? a : 'x'; }",
    "void g() { try { int x = read(); } catch (Exception e) { x = e.code; } finally { close(x); } }",
]

JAVASCRIPT = [
    """function sum(values, limit = 3) {
  let total = 0, other;
  for (let i = 0; i < values.length; i++) {
    if (values[i] > limit) { total += values[i]; } else if (values[i] < 0) { total = -total; } else { continue; }
  }
  for (const v of values) total += v;
  return total; // done
}""",
    """const add = (a, b) => { const c = a + b; return `${c}` + "x"; };
var q = add(1, 2); q++; --q;
while (q < 10) { q *= 2; if (q === 7) break; }
do { q -= 1; } while (q > 0);""",
    """class Point { constructor(x, y = x) { this.x = x; this.y = y; }
  get norm() { return this.x ** 2 + this.y ** 2; } }
const {a, b: [c, d = 1]} = make(); [x, y] = [y, x];""",
    "for (k in obj) { out[k] = obj[k]; } for (var n = 0; n < 3; ++n) for (var m = n; m < 3; m++) s = s + m * n;",
    "try { f(x) } catch (e) { x = e } finally { g(x) } switch (x) { case 1: y = x; break; default: y = 2 }",
]

GO = [
    """package main

import "fmt"

func sum(values []int, limit int) (total int) {
	var count, step int = 0, 1
	for i := 0; i < len(values); i++ {
		if values[i] > limit { total += values[i] } else if values[i] < 0 { total = -total } else { continue }
		count = count + step
	}
	for _, v := range values { total += v }
	fmt.Println("done", count) // print
	return total
}""",
    """func swap(a, b int) (int, int) {
	a, b = b, a
	var c int
	c = a
	c++
	for c < 10 { c = c * 2 }
	if c == b { return c, a }
	return a, c
}""",
    "type P struct { X, Y int }\nfunc (p P) Norm() int { q := P{X: p.X}; q.Y = p.Y; return q.X*q.X + q.Y }",
    "func f(xs map[string]int) { for k := range xs { delete(xs, k); xs[k]-- }; defer func() { recover() }() }",
    "func g(n int) int { switch { case n > 1: n = g(n - 1); default: n = 0 }; s := `raw`; return n + len(s) }",
]

RUST = [
    """fn sum(values: &[i32], limit: i32) -> i32 {
    let mut total = 0;
    for v in values {
        if *v > limit { total += v; } else if *v < 0 { total = -total; } else { continue; }
    }
    let mut i = 0;
    while i < 10 { i += 1; total = total + i; }
    total // done
}""",
    """pub fn pick(x: Option<u8>) -> u8 {
    match x { Some(n) if n > 3 => n, Some(n) => n + 1, None => 0 }
}
fn again() { let mut n = 3; loop { n = n - 1; if n == 0 { break; } } }""",
    """struct P { x: f64, y: f64 }
impl P { fn norm(&self) -> f64 { let q = self.x; let r = q * q + self.y; r.sqrt() } }""",
    """fn f(s: String) -> usize {
    let t = s; let u = t.len(); println!("{}", u);
    if let Some(c) = t.chars().next() { u } else { 0 }
}""",
    """fn g(n: u32) -> u32 {
    let f = |a: u32| a + n; let mut m = f(n);
    for i in 0..m { m = i; for j in i..m { m += j; } }
    m
}""",
]

SNIPPETS = {"go": GO, "java": JAVA, "javascript": JAVASCRIPT, "rust": RUST}
