#include "transform/traffic.h"

#include <vector>

#include "ir/access.h"
#include "transform/attributes.h"
#include "transform/cache.h"

namespace tt::transform {
namespace {

using ir::Interned;
using ir::Value;

namespace key {
constinit const Interned kTransfers{"transfers"}, kProducts{"products"}, kBuffer{"buffer"};
constinit const Interned kAccess{"access"}, kReason{"reason"}, kStart{"start"};
constinit const Interned kExtent{"extent"}, kLoops{"loops"}, kDtypes{"dtypes"};
constinit const Interned kM{"m"}, kN{"n"}, kK{"k"};
}  // namespace key

Value LoopsEntry(const std::vector<ir::TrafficLoop>& loops) {
  std::vector<Value> out;
  for (const ir::TrafficLoop& loop : loops) {
    out.push_back(ir::MakeArray(std::vector<Value>{loop.name, ToValue(loop.trips)}));
  }
  return ir::MakeArray(out);
}

Value TransferEntry(const ir::Transfer& transfer) {
  const Value access = ir::ToString(transfer.access);
  if (!transfer.reason.empty()) {
    return ir::MakeMap({{key::kBuffer, transfer.parameter},
                        {key::kAccess, access},
                        {key::kReason, transfer.reason}});
  }
  return ir::MakeMap({{key::kBuffer, transfer.parameter},
                      {key::kAccess, access},
                      {key::kStart, ToValue(transfer.start)},
                      {key::kExtent, ToValue(transfer.extent)},
                      {key::kLoops, LoopsEntry(transfer.loops)}});
}

Value ProductEntry(const ir::TileProduct& product) {
  if (!product.reason.empty()) return ir::MakeMap({{key::kReason, product.reason}});
  const auto& [a, b, c] = product.dtypes;
  return ir::MakeMap({{key::kM, product.m},
                      {key::kN, product.n},
                      {key::kK, product.k},
                      {key::kDtypes, ir::MakeArray(std::vector<Value>{a, b, c})},
                      {key::kLoops, LoopsEntry(product.loops)}});
}

Value MakeEntry(const ir::Traffic& traffic) {
  std::vector<Value> transfers, products;
  for (const ir::Transfer& transfer : traffic.transfers) {
    transfers.push_back(TransferEntry(transfer));
  }
  for (const ir::TileProduct& product : traffic.products) {
    products.push_back(ProductEntry(product));
  }
  return ir::MakeMap(
      {{key::kTransfers, ir::MakeArray(transfers)}, {key::kProducts, ir::MakeArray(products)}});
}

}  // namespace

/*! Remembered: maps are costly to build, and inference runs again and again on one kernel. */
Value TrafficEntry(const ir::Traffic& traffic) {
  static auto* cache = new Cache<ir::Traffic, Value>;
  return cache->Get(traffic, [&] { return MakeEntry(traffic); });
}

}  // namespace tt::transform
