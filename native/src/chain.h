// Programs as chains of links (kernels/chain.h): which of an instruction's operands is still in vector registers.
#pragma once
#include <vector>

#include "registry.h"
#include "step.h"

namespace rv {

// Empty if some instruction has no link: the program is interpreted. `number[r]`: register r is an operand that is the same
// for all elements; `moves[r]`: it is another operand, or a result (EwProgram).
std::vector<EwLink> make_chain(const IsaTable& isa, const std::vector<EwInstr>& code, const std::vector<char>& number,
                               const std::vector<uint8_t>& moves, const std::vector<char>& kept);

}  // namespace rv
