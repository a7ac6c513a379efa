#include "chain.h"

namespace rv {
namespace {

class Writer {
 public:
  Writer(const IsaTable& isa, const std::vector<char>& number, const std::vector<uint8_t>& moves,
         const std::vector<char>& kept)
      : isa_(isa), number_(number), moves_(moves), kept_(kept), read_(number.size(), 0) {}

  // False: some instruction has no link. What later links read from memory is known at the end only: the second time,
  // what was so read the first time is put there.
  bool write(const std::vector<EwInstr>& code) {
    links.clear();
    x_ = -1;
    for (const EwInstr& c : code)
      if (c.dtype != Dtype::f32 || !instruction(c)) return false;
    return link({}, Form::end);
  }

  std::vector<EwLink> links;

 private:
  static size_t at(int reg) { return static_cast<size_t>(reg); }
  bool number(int reg) const { return number_[at(reg)]; }
  int64_t move(int reg) const { return moves_[at(reg)] ? -1 : 0; }

  bool link(const EwInstr& c, Form form, int memory = -1, int mask = -1) {
    const LinkAny fn = isa_.link(c.op, form);
    links.push_back({fn, c.dst, c.a, c.b, c.c, memory < 0 ? 0 : move(memory), mask < 0 ? 0 : move(mask)});
    return fn != nullptr;
  }
  int memory(int reg) {
    read_[at(reg)] = 1;
    return reg;
  }

  void take(int reg) {
    if (x_ == reg) return;
    x_ = reg;
    EwInstr c{};
    c.a = static_cast<uint16_t>(reg);
    if (number(reg)) link(c, Form::take_n);
    else link(c, Form::take_m, memory(reg));
  }
  bool result(int reg) {
    x_ = reg;
    if (!kept_[at(reg)] && !read_[at(reg)]) return true;
    EwInstr c{};
    c.dst = static_cast<uint16_t>(reg);
    return link(c, Form::put, reg);
  }
  // An instruction on two registers, of which one is in x, or is taken.
  bool pair(const EwInstr& c, int a, int b, int mask = -1) {
    if (x_ != a && x_ != b) take(number(a) && !number(b) ? b : a);
    if (a == b) return link(c, Form::xx, -1, mask);
    const int other = x_ == a ? b : a;
    if (number(other)) return link(c, x_ == a ? Form::xn : Form::nx, -1, mask);
    return link(c, x_ == a ? Form::xm : Form::mx, memory(other), mask);
  }

  bool instruction(const EwInstr& c) {
    switch (c.op) {
      case ew_copy: take(c.a); return c.out == Dtype::f32 && result(c.dst);
      case ew_clip:
        if (!number(c.b) || !number(c.c)) return false;
        take(c.a);
        return link(c, Form::xn) && result(c.dst);
      case ew_where: return !number(c.a) && pair(c, c.b, c.c, memory(c.a)) && result(c.dst);
      case ew_adam:
        for (int i = 0; i < 4; ++i)
          if (number(memory(c.a + i)) || !number(c.b + i)) return false;
        for (int i = 0; i < 3; ++i)
          if (!move(c.a + i) || !move(c.dst + i)) return false;
        return link(c, Form::x, c.a + 3);
      default: break;
    }
    const int arity = elementwise_info(c.op).arity;
    if (arity == 2 && c.out == Dtype::b8) return pair(c, c.a, c.b, c.dst);
    if (c.out != Dtype::f32 || arity > 2) return false;
    if (arity == 2) return pair(c, c.a, c.b) && result(c.dst);
    take(c.a);
    return link(c, Form::x) && result(c.dst);
  }

  const IsaTable& isa_;
  const std::vector<char>& number_;
  const std::vector<uint8_t>& moves_;
  const std::vector<char>& kept_;
  std::vector<char> read_;  // from memory, by some link
  int x_ = -1;              // the register whose value the last link left in x
};

}  // namespace

std::vector<EwLink> make_chain(const IsaTable& isa, const std::vector<EwInstr>& code, const std::vector<char>& number,
                               const std::vector<uint8_t>& moves, const std::vector<char>& kept) {
  Writer w(isa, number, moves, kept);
  if (!w.write(code) || !w.write(code)) return {};
  return std::move(w.links);
}

}  // namespace rv
