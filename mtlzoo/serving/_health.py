"""The messages of gRPC's standard health check, without a package for the two."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FILE = descriptor_pb2.FileDescriptorProto(
    name="grpc/health/v1/health.proto", package="grpc.health.v1", syntax="proto3"
)
_FILE.message_type.add(name="HealthCheckRequest").field.add(
    name="service", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL"
)
_FILE.message_type.add(name="HealthCheckResponse").field.add(
    name="status", number=1, type="TYPE_INT32", label="LABEL_OPTIONAL"
)
# A pool of our own: the real definitions may be in the default one.
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_FILE)

HealthCheckRequest, HealthCheckResponse = (
    message_factory.GetMessageClass(
        _POOL.FindMessageTypeByName(f"grpc.health.v1.{name}")
    )
    for name in ("HealthCheckRequest", "HealthCheckResponse")
)
