# hooke_contract: the code that protoc makes of the contract, in the build folder.
#
# Errors need google/rpc/error_details.proto beside it. Where googleapis is not installed,
# GOOGLEAPIS names a folder with it: a checkout, or the Python package
# `googleapis-common-protos`, which Hooke's own virtualenv has.

get_filename_component(protos "${CMAKE_CURRENT_LIST_DIR}/../../../protos" ABSOLUTE)
if(NOT GOOGLEAPIS)
  find_program(PYTHON NAMES python python3 HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../.venv/bin")
  execute_process(
    COMMAND "${PYTHON}" -c "import google.rpc as found; print(list(found.__path__)[0])"
    OUTPUT_VARIABLE package
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
find_path(GOOGLEAPIS google/rpc/error_details.proto HINTS "${package}/../.." REQUIRED)

file(GLOB contract CONFIGURE_DEPENDS RELATIVE "${protos}" "${protos}/hooke/v1/*.proto")
file(GLOB services CONFIGURE_DEPENDS RELATIVE "${protos}" "${protos}/hooke/v1/*_service.proto")
set(details google/rpc/status.proto google/rpc/error_details.proto)
set(generated "${CMAKE_CURRENT_BINARY_DIR}/contract")
file(MAKE_DIRECTORY "${generated}")

foreach(proto ${contract} ${details})
  string(REPLACE .proto .pb file "${generated}/${proto}")
  list(APPEND made "${file}.cc" "${file}.h")
endforeach()
foreach(proto ${services})
  string(REPLACE .proto .grpc.pb file "${generated}/${proto}")
  list(APPEND made "${file}.cc" "${file}.h")
endforeach()
list(TRANSFORM contract PREPEND "${protos}/" OUTPUT_VARIABLE sources)

set(paths "--proto_path=${protos}" "--proto_path=${GOOGLEAPIS}")
add_custom_command(
  OUTPUT ${made}
  COMMAND protobuf::protoc ${paths} "--cpp_out=${generated}" ${contract} ${details}
  COMMAND protobuf::protoc ${paths} "--grpc_out=${generated}"
          "--plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>" ${services}
  DEPENDS ${sources}
  VERBATIM)

add_library(hooke_contract STATIC ${made})
# As a system folder: what warns in generated code is not ours to mend.
target_include_directories(hooke_contract SYSTEM PUBLIC "${generated}")
target_link_libraries(hooke_contract PUBLIC protobuf::libprotobuf gRPC::grpc++)
